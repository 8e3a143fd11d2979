import type { Config } from "../config.ts";
import { systemCodeOf } from "../errors.ts";
import { ListenError, type ListenPlace, type SmtpListener } from "../smtp/server.ts";
import { holdPlace, type ListenAddress } from "./listen-address.ts";
import { StartError } from "./start-error.ts";

type What = "HTTP" | "HTTPS" | "SMTP" | "SMTPS" | "LMTP" | "ACME-HTTP";

/** Where HTTPS is to listen; `null` where it is off. */
export function secureHttpPlace({ https_host: host, https_port: port }: Config): ListenAddress | null {
  return port === null ? null : { host, port };
}

/** Where an authority's http-01 is to be answered besides at the HTTP listener; `null` where it is not. */
export function challengePlace(config: Config): ListenAddress | null {
  const { https_host: host, acme_http_port: port, acme_domains: names } = config;
  return port === null || names === "off" ? null : { host, port };
}

/** Where SMTP and LMTP are to listen, SMTP first. */
export function smtpListeners(config: Config): SmtpListener[] {
  const { smtp_host: host, smtp_port: port, smtps_port, lmtp_host, lmtp_port, lmtp_socket } = config;
  const listeners: SmtpListener[] = [{ host, port }];
  if (smtps_port !== null) listeners.push({ tls: "implicit", host, port: smtps_port });
  if (lmtp_port !== null) listeners.push({ protocol: "lmtp", host: lmtp_host, port: lmtp_port });
  if (lmtp_socket !== null) listeners.push({ protocol: "lmtp", path: lmtp_socket });
  return listeners;
}

/**
 * Throws {@link StartError} when a place cannot be had. The first key is shown once, by a server that listens: a start that
 * cannot listen must not have made it.
 */
export async function checkPlaces(config: Config): Promise<void> {
  const smtp = smtpListeners(config).map((at) => ({ what: nameOf(at), at }));
  // Held together, so that one port for two is found out as well.
  await using held = new AsyncDisposableStack();
  for (const { what, at } of [...httpPlaces(config), ...smtp]) {
    try {
      held.use(await holdPlace(at));
    } catch (error) {
      throw explained(what, at, error);
    }
  }
}

/** Waits for the HTTP listeners. Throws {@link StartError} when one of their places cannot be had; the fault names its port. */
export async function explainHttp<T>(config: Config, listening: Promise<T>): Promise<T> {
  try {
    return await listening;
  } catch (error) {
    const port = error instanceof Error && "port" in error ? error.port : undefined;
    const places = httpPlaces(config);
    const place = places.find(({ at }) => at.port === port) ?? places[0];
    throw place === undefined ? error : explained(place.what, place.at, error);
  }
}

/** Waits for the SMTP listeners. Throws {@link StartError} when one of their places cannot be had. */
export async function explainSmtp<T>(listening: Promise<T>): Promise<T> {
  try {
    return await listening;
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    throw explained(nameOf(error.listener), error.listener, error.cause);
  }
}

function httpPlaces(config: Config): { what: What; at: ListenAddress }[] {
  const secure = secureHttpPlace(config);
  const challenge = challengePlace(config);
  return [
    { what: "HTTP", at: { host: config.http_host, port: config.http_port } },
    ...(secure === null ? [] : [{ what: "HTTPS" as const, at: secure }]),
    ...(challenge === null ? [] : [{ what: "ACME-HTTP" as const, at: challenge }]),
  ];
}

function nameOf({ protocol, tls }: SmtpListener): What {
  if (protocol === "lmtp") return "LMTP";
  return tls === "implicit" ? "SMTPS" : "SMTP";
}

const portFaults: Readonly<Record<string, string>> = {
  EACCES: "this user may not open the port",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "the host name is not known",
};
const socketFaults: Readonly<Record<string, string>> = {
  EADDRINUSE: "the socket is already in use",
  EACCES: "there is no such directory, or this user may not write to it",
  EINVAL: "the path is too long",
  ENOTDIR: "there is no such directory",
};

/** The same fault as the operator can mend it, where it is known. */
function explained(what: What, at: ListenPlace, error: unknown): unknown {
  const code = systemCodeOf(error);
  const inUse = `the port is already in use. Choose another with --${what.toLowerCase()}-port`;
  const [reason, place] =
    "path" in at
      ? [socketFaults[code], at.path]
      : [code === "EADDRINUSE" ? inUse : portFaults[code], `${at.host} port ${at.port}`];
  if (reason === undefined) return error;
  return new StartError(`${what} cannot listen on ${place}: ${reason}.`, { cause: error });
}
