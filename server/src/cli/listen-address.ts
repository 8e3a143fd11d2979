/** Where a server listens, or is to listen. */
export interface ListenAddress {
  host: string;
  port: number;
}

/** The same place as a client on this machine can name it: an address that means all of them becomes the loopback. */
export function reachable({ host, port }: ListenAddress): ListenAddress {
  if (host === "0.0.0.0") return { host: "127.0.0.1", port };
  return { host: host === "::" ? "::1" : host, port };
}

/** `host:port` as a URL has it, an IPv6 address in brackets (RFC 3986 section 3.2.2). */
export function authorityOf({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
