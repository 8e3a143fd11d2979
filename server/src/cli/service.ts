import { timeFormatter } from "../clock.ts";
import { listOf, type Config } from "../config.ts";
import { systemCodeOf } from "../errors.ts";
import { fetchCertificate } from "../http/ingest/sns-certificates.ts";
import type { IngestSettings } from "../http/ingest/ingest-api.ts";
import { HttpServer } from "../http/server.ts";
import type { Logger } from "../log.ts";
import { AccessControl } from "../mail/access.ts";
import { Feed } from "../mail/feed.ts";
import { Mailboxes } from "../mail/mailboxes.ts";
import { Reader } from "../mail/reading.ts";
import { Receiver } from "../mail/receive.ts";
import { Retention } from "../mail/retention.ts";
import { setUp, type SetupResult } from "../mail/setup.ts";
import { Metrics } from "../metrics.ts";
import { MailParser } from "../mime/mime.ts";
import { NetworkSet } from "../networks.ts";
import type { SmtpLimits } from "../smtp/limits.ts";
import type { SmtpMetrics } from "../smtp/metrics.ts";
import { ListenError, SmtpServer, type ListenPlace, type SmtpListener } from "../smtp/server.ts";
import { acquireServeLock } from "../store/sqlite/serve-lock.ts";
import { openSqliteStore } from "../store/sqlite/sqlite-store.ts";
import type { Store } from "../store/store.ts";
import { holdPlace, type ListenAddress } from "./listen-address.ts";

/** A fault that the operator can mend: one line, no stack. */
export class StartError extends Error {
  override name = "StartError";
}

/** Senders get this much of a stop's time at most, so that readers and sockets are told goodbye too. */
const smtpShareOfStop = 0.8;

/** The whole server in one process: every room joined to the next. */
export class Service implements AsyncDisposable {
  readonly setup: SetupResult;
  readonly http: ListenAddress;
  readonly smtp: ListenAddress;
  /** A port, a Unix socket, both or neither. */
  readonly lmtp: readonly ListenPlace[];
  readonly #stop: () => Promise<void>;
  #stopping: Promise<void> | null = null;

  private constructor(parts: { setup: SetupResult; http: ListenAddress; smtp: SmtpServer; stop: () => Promise<void> }) {
    this.setup = parts.setup;
    this.http = parts.http;
    this.smtp = parts.smtp.address;
    this.lmtp = parts.smtp.places.slice(1);
    this.#stop = parts.stop;
  }

  /**
   * Opens the store, makes the first user where there is none, and listens. Throws {@link StartError} when another
   * process serves the same data directory or a port is taken, before anything is made; whatever was opened until then
   * is closed again.
   */
  static async start(config: Config, log: Logger): Promise<Service> {
    await using parts = new AsyncDisposableStack();
    // First in, last out: nobody may restore a backup while the store is still being closed.
    const lock = acquireServeLock(config.data_dir);
    if (lock === null) throw new StartError(`Another catmails already serves the data directory ${config.data_dir}.`);
    parts.use(lock);
    await checkPlaces(config);
    const store = parts.use(await openSqliteStore({ dataDir: config.data_dir, log }));
    const setup = await setUp(store, {
      domain: config.domain,
      tempDomain: config.temp_domain,
      bootstrapMail: config.bootstrap_mail,
      bootstrapKey: config.bootstrap_key,
    });
    const metrics = new Metrics();
    const rooms = openRooms(config, { store, log, metrics, parts });
    const state = { ready: true };
    const http = parts.use(await listenHttp(config, { ...rooms, store, log, metrics, state }));
    const smtp = parts.use(await listenSmtp(config, { receiver: rooms.receiver, log, metrics }));
    const owned = parts.move();
    const stop = async (): Promise<void> => {
      state.ready = false;
      const deadlineMs = performance.now() + config.shutdown_timeout;
      const leftMs = (): number => Math.max(0, deadlineMs - performance.now());
      try {
        // Mail in flight is stored and pushed before the sockets go.
        const forMailMs = config.shutdown_timeout * smtpShareOfStop;
        await Promise.all([smtp.drain(forMailMs), http.drainIngest(forMailMs)]);
        await rooms.feed[Symbol.asyncDispose]();
        await http.drain(leftMs());
      } finally {
        await owned.disposeAsync();
      }
    };
    return new Service({ setup, http: http.address, smtp, stop });
  }

  /** Not ready (which `/readyz` says within a second), no new mail, then no new answers; every resource closed. Within `shutdown_timeout` and a second or so. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

interface Foundations {
  store: Store;
  log: Logger;
  metrics: Metrics;
}

interface Rooms {
  feed: Feed;
  reader: Reader;
  mailboxes: Mailboxes;
  receiver: Receiver;
  access: AccessControl;
}

function openRooms(config: Config, base: Foundations & { parts: AsyncDisposableStack }): Rooms {
  const { store, log, metrics, parts } = base;
  const parser = parts.use(new MailParser({}));
  const feed = parts.use(
    new Feed({
      store,
      log,
      metrics,
      maxFollowers: config.max_followers,
      maxFollowersPerUser: config.max_followers_per_user,
    }),
  );
  const mailboxes = new Mailboxes({
    store,
    feed,
    tempDomain: config.temp_domain,
    tempTtlMs: config.temp_ttl,
    tempMaxTtlMs: config.temp_max_ttl,
    tempMaxMailboxes: config.temp_max_mailboxes,
    nameReservedMs: config.temp_name_reserved,
  });
  const receiver = new Receiver({
    store,
    feed,
    parser,
    metrics,
    domain: config.domain,
    quotaBytes: config.quota_bytes,
    maxReceived: config.smtp_max_received,
  });
  parts.use(
    new Retention({
      store,
      log,
      metrics,
      maxAgeMs: config.retention_age,
      maxCount: config.retention_count,
      nameReservedMs: config.temp_name_reserved,
    }),
  );
  return { feed, mailboxes, receiver, reader: new Reader(store, feed), access: new AccessControl(store) };
}

/** The first key is shown once, by a server that listens: a start that cannot listen must not have made it. */
async function checkPlaces(config: Config): Promise<void> {
  const http = { what: "HTTP", at: { host: config.http_host, port: config.http_port } };
  const others = smtpListeners(config).map((listener) => ({ what: protocolOf(listener), at: listener }));
  // Held together, so that one port for two of them is found out as well.
  await using held = new AsyncDisposableStack();
  for (const { what, at } of [http, ...others]) {
    try {
      held.use(await holdPlace(at));
    } catch (error) {
      throw explained(what, at, error);
    }
  }
}

function protocolOf({ protocol = "smtp" }: SmtpListener): string {
  return protocol.toUpperCase();
}

async function listenHttp(
  config: Config,
  rooms: Rooms & Foundations & { state: { ready: boolean } },
): Promise<HttpServer> {
  const { store, state, access, reader, mailboxes, feed, log, metrics } = rooms;
  const at = { host: config.http_host, port: config.http_port };
  try {
    return await HttpServer.listen({
      ...at,
      maxBodyBytes: config.http_max_body_bytes,
      access,
      reader,
      mailboxes,
      feed,
      formatTime: timeFormatter(config.time_zone),
      log,
      metrics,
      isReady: async () => state.ready && (await store.check(), true),
      socket: {
        maxBufferedBytes: config.ws_max_buffered_bytes,
        stallTimeoutMs: config.ws_stall_timeout,
        pingIntervalMs: config.ws_ping_interval,
        deadTimeoutMs: config.ws_dead_timeout,
      },
      ingest: ingestSettings(config, rooms.receiver),
    });
  } catch (error) {
    throw explained("HTTP", at, error);
  }
}

function ingestSettings(config: Config, receiver: Receiver): IngestSettings {
  return {
    receiver,
    maxMessageBytes: config.smtp_max_message_bytes,
    maxRecipients: config.smtp_max_recipients,
    maxBufferedBytes: config.ingest_max_buffered_bytes,
    graceMs: config.ingest_timeout,
    mailgunSigningKey: config.mailgun_signing_key,
    sendgridPublicKey: config.sendgrid_public_key,
    sesTopics: listOf(config.ses_topics),
    sesCertificateDirectory: config.ses_certificates,
    fetchCertificate,
  };
}

async function listenSmtp(
  config: Config,
  base: { receiver: Receiver; log: Logger; metrics: Metrics },
): Promise<SmtpServer> {
  try {
    return await SmtpServer.listen({
      listeners: smtpListeners(config),
      ...(config.proxy_peers === null ? {} : { proxyPeers: new NetworkSet(config.proxy_peers) }),
      hostname: config.smtp_hostname,
      limits: smtpLimits(config),
      intake: base.receiver,
      log: base.log,
      metrics: smtpMetrics(base.metrics),
    });
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    throw explained(protocolOf(error.listener), error.listener, error.cause);
  }
}

/** SMTP first, whose place is told by {@link SmtpServer.address}. */
function smtpListeners(config: Config): SmtpListener[] {
  const listeners: SmtpListener[] = [{ host: config.smtp_host, port: config.smtp_port }];
  if (config.lmtp_port !== null) {
    listeners.push({ protocol: "lmtp", host: config.lmtp_host, port: config.lmtp_port });
  }
  if (config.lmtp_socket !== null) listeners.push({ protocol: "lmtp", path: config.lmtp_socket });
  return listeners;
}

/** The limits of the SMTP door as they are configured. */
export function smtpLimits(config: Config): SmtpLimits {
  return {
    maxMessageBytes: config.smtp_max_message_bytes,
    maxRecipients: config.smtp_max_recipients,
    maxLineBytes: config.smtp_max_line_bytes,
    maxMails: config.smtp_max_mails,
    maxErrors: config.smtp_max_errors,
    idleTimeoutMs: config.smtp_idle_timeout,
    maxConnections: config.smtp_max_connections,
    maxConnectionsPerIp: config.smtp_max_connections_per_ip,
    maxBufferedBytes: config.smtp_max_buffered_bytes,
  };
}

function smtpMetrics(metrics: Metrics): SmtpMetrics {
  return {
    connectionOpened: () => metrics.smtpConnections.inc(),
    connectionClosed: () => metrics.smtpConnections.dec(),
    connectionRefused: (reason) => metrics.smtpConnectionsRefused.inc({ reason }),
    recipientRefused: (reason) => metrics.smtpRecipientsRefused.inc({ reason }),
    mailEnded: (outcome) => metrics.smtpMails.inc({ outcome }),
  };
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
function explained(what: string, at: ListenPlace, error: unknown): unknown {
  const code = systemCodeOf(error);
  const inUse = `the port is already in use. Choose another with --${what.toLowerCase()}-port`;
  const [reason, place] =
    "path" in at
      ? [socketFaults[code], at.path]
      : [code === "EADDRINUSE" ? inUse : portFaults[code], `${at.host} port ${at.port}`];
  if (reason === undefined) return error;
  return new StartError(`${what} cannot listen on ${place}: ${reason}.`, { cause: error });
}
