import { once } from "node:events";
import { createServer } from "node:net";
import type { ListenPlace } from "../smtp/server.ts";
import { removeStaleSocket } from "../smtp/unix-socket.ts";

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

/**
 * Listens there and answers nobody, until it is disposed: shows that a server will be able to. Throws the system's error
 * (`EADDRINUSE`, `EACCES`, …) when it cannot.
 */
export async function holdPlace(at: ListenPlace): Promise<AsyncDisposable> {
  if ("path" in at) await removeStaleSocket(at.path);
  const server = createServer((socket) => socket.destroy());
  server.listen("path" in at ? { path: at.path } : { host: at.host, port: at.port });
  await once(server, "listening");
  return server;
}
