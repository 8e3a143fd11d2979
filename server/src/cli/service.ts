import { join } from "node:path";
import { HttpChallenges } from "../acme/challenge-doors.ts";
import { timeFormatter } from "../clock.ts";
import { listOf, type Config } from "../config.ts";
import { fetchCertificate } from "../http/ingest/sns-certificates.ts";
import type { IngestSettings } from "../http/ingest/ingest-api.ts";
import type { HttpServer } from "../http/server.ts";
import type { Logger } from "../log.ts";
import { AccessControl } from "../mail/access.ts";
import { DiskSpace } from "../mail/disk-space.ts";
import { Contents } from "../mail/contents.ts";
import { Feed } from "../mail/feed.ts";
import { Mailboxes } from "../mail/mailboxes.ts";
import { Reader } from "../mail/reading.ts";
import { Receiver } from "../mail/receive.ts";
import { Retention } from "../mail/retention.ts";
import { setUp, type SetupResult } from "../mail/setup.ts";
import { Metrics } from "../metrics.ts";
import { MailParser } from "../mime/mime.ts";
import { NetworkSet } from "../network.ts";
import type { SmtpLimits } from "../smtp/limits.ts";
import type { SmtpMetrics } from "../smtp/metrics.ts";
import { SmtpServer, type ListenPlace } from "../smtp/server.ts";
import { Spool } from "../smtp/spool.ts";
import { usualFileBytes, type RawFileSizes } from "../store/sqlite/raw-file.ts";
import { acquireServeLock } from "../store/sqlite/serve-lock.ts";
import { openSqliteStore } from "../store/sqlite/sqlite-store.ts";
import type { Store } from "../store/store.ts";
import type { Certificates } from "../tls/certificates.ts";
import { startAcme, wellKnown } from "./acme.ts";
import { openCertificates } from "./certificates.ts";
import type { ListenAddress } from "./listen-address.ts";
import { checkPlaces, explainHttp, explainSmtp, secureHttpPlace, smtpListeners } from "./places.ts";
import { openSenderRooms } from "./sender-rooms.ts";
import { StartError } from "./start-error.ts";

/** Senders get this much of a stop's time at most, so that readers and sockets are told goodbye too. */
const smtpShareOfStop = 0.8;

/** One mail alone goes into a raw file from so many times `raw_files_from` on. */
const aloneTimes = 8;

/** Directory of mails that are coming in, inside the data directory. */
const spoolName = "spool";

/** The whole server in one process: every room joined to the next. */
export class Service implements AsyncDisposable {
  readonly setup: SetupResult;
  readonly http: ListenAddress;
  /** `null` where it is off. */
  readonly https: ListenAddress | null;
  readonly smtp: ListenAddress;
  /** `null` where it is off. */
  readonly smtps: ListenAddress | null;
  /** A port, a Unix socket, both or neither. */
  readonly lmtp: readonly ListenPlace[];
  readonly #stop: () => Promise<void>;
  #stopping: Promise<void> | null = null;

  private constructor(parts: ServiceParts) {
    this.setup = parts.setup;
    this.http = parts.http.address;
    this.https = parts.http.secureAddress;
    this.smtp = parts.smtp.address;
    this.smtps = parts.smtps;
    this.lmtp = parts.lmtp;
    this.#stop = parts.stop;
  }

  /**
   * Opens the store, makes the first user where there is none, and listens. Throws {@link StartError} when another
   * process serves the same data directory, a port is taken or a certificate cannot be used, before anything is made;
   * whatever was opened until then is closed again.
   */
  static async start(config: Config, log: Logger): Promise<Service> {
    await using parts = new AsyncDisposableStack();
    // First in, last out: nobody may restore a backup while the store is still being closed.
    const lock = acquireServeLock(config.data_dir);
    if (lock === null) throw new StartError(`Another catmails already serves the data directory ${config.data_dir}.`);
    parts.use(lock);
    await checkPlaces(config);
    const metrics = new Metrics();
    const encryption = parts.use(await openCertificates(config, { log, metrics }));
    // The store's thread gets ready meanwhile: on two cores a start takes a quarter less.
    const opening = openSqliteStore({ dataDir: config.data_dir, log, rawFiles: rawFiles(config) });
    const loading = import("../http/server.ts");
    const store = parts.use(await opening);
    const setup = await setUp(store, {
      domain: config.domain,
      tempDomain: config.temp_domain,
      bootstrapMail: config.bootstrap_mail,
      bootstrapKey: config.bootstrap_key,
    });
    const disk = parts.use(await watchDisk(config, { store, log, metrics }));
    const rooms = await openRooms(config, { store, log, metrics, parts, disk });
    const state = { ready: true };
    const challenges = new HttpChallenges();
    const http = parts.use(
      await listenHttp(config, await loading, { ...rooms, store, log, metrics, state, disk, encryption, challenges }),
    );
    const smtp = parts.use(await listenSmtp(config, { receiver: rooms.receiver, log, metrics, encryption }));
    await startAcme(config, { certificates: encryption, challenges, log, parts });
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
    return new Service({ setup, http, smtp, ...otherPlaces(config, smtp), stop });
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

/** With 0 no mail comes into files any more; those that are there go with their mails as ever. */
function rawFiles({ raw_files_from: from }: Config): RawFileSizes {
  const fromBytes = from === 0 ? Number.POSITIVE_INFINITY : from;
  return { fromBytes, aloneFromBytes: aloneTimes * fromBytes, fileBytes: usualFileBytes };
}

interface ServiceParts {
  setup: SetupResult;
  http: HttpServer;
  smtp: SmtpServer;
  smtps: ListenAddress | null;
  lmtp: readonly ListenPlace[];
  stop: () => Promise<void>;
}

/** Where the SMTP door listens beside its first port. */
function otherPlaces(config: Config, smtp: SmtpServer): { smtps: ListenAddress | null; lmtp: ListenPlace[] } {
  const places = smtpListeners(config).map(({ tls, protocol }, index) => ({ tls, protocol, at: smtp.places[index] }));
  const secure = places.find(({ tls }) => tls === "implicit")?.at;
  return {
    smtps: secure !== undefined && "port" in secure ? secure : null,
    lmtp: places.flatMap(({ protocol, at }) => (protocol === "lmtp" && at !== undefined ? at : [])),
  };
}

interface Foundations {
  store: Store;
  log: Logger;
  metrics: Metrics;
}

/** Free for new mail is also what the store uses again before it grows. */
function watchDisk(config: Config, { store, log, metrics }: Foundations): Promise<DiskSpace> {
  return DiskSpace.watch({
    dir: config.data_dir,
    minFreeBytes: config.min_free_bytes,
    maxMessageBytes: config.smtp_max_message_bytes,
    store,
    log,
    metrics,
  });
}

interface Rooms {
  feed: Feed;
  reader: Reader;
  mailboxes: Mailboxes;
  receiver: Receiver;
  access: AccessControl;
}

interface RoomBase extends Foundations {
  parts: AsyncDisposableStack;
  disk: DiskSpace;
}

async function openRooms(config: Config, base: RoomBase): Promise<Rooms> {
  const { store, log, metrics, parts, disk } = base;
  const parser = parts.use(new MailParser({}));
  const contents = parts.use(new Contents({ store, parser, disk }));
  const feed = parts.use(
    new Feed({
      store,
      contents,
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
  const senders = await openSenderRooms(config, base);
  const receiver = new Receiver({
    store,
    feed,
    parser,
    metrics,
    disk,
    domain: config.domain,
    quotaBytes: config.quota_bytes,
    maxReceived: config.smtp_max_received,
    senders,
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
  const reader = new Reader({ store, contents, feed, results: senders.results });
  return { feed, mailboxes, receiver, reader, access: new AccessControl(store) };
}

type HttpDoor = Pick<typeof import("../http/server.ts"), "HttpServer">;

interface HttpBase extends Rooms, Foundations {
  state: { ready: boolean };
  disk: DiskSpace;
  encryption: Certificates;
  challenges: HttpChallenges;
}

function listenHttp(config: Config, { HttpServer: Door }: HttpDoor, base: HttpBase): Promise<HttpServer> {
  const { store, state, disk, access, reader, mailboxes, feed, log, metrics, encryption } = base;
  const secureAt = secureHttpPlace(config);
  return explainHttp(
    config,
    Door.listen({
      host: config.http_host,
      port: config.http_port,
      maxBodyBytes: config.http_max_body_bytes,
      access,
      reader,
      mailboxes,
      feed,
      formatTime: timeFormatter(config.time_zone),
      log,
      metrics,
      wellKnown: wellKnown(config, base),
      isReady: async () => state.ready && (await store.check(), true),
      // Still ready: whoever reads and deletes mail is what helps now.
      warning: () => (disk.isLow ? "the disk is nearly full, new mail is put off" : null),
      socket: {
        maxBufferedBytes: config.ws_max_buffered_bytes,
        stallTimeoutMs: config.ws_stall_timeout,
        pingIntervalMs: config.ws_ping_interval,
        deadTimeoutMs: config.ws_dead_timeout,
      },
      ingest: ingestSettings(config, base.receiver),
      // On any other port a browser would also be kept from what else this host serves.
      ...(secureAt === null ? {} : { https: { ...secureAt, encryption, isStrict: secureAt.port === 443 } }),
    }),
  );
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

interface SmtpBase {
  receiver: Receiver;
  log: Logger;
  metrics: Metrics;
  encryption: Certificates;
}

async function listenSmtp(config: Config, { receiver, log, metrics, encryption }: SmtpBase): Promise<SmtpServer> {
  const hasRoom = (): boolean => receiver.hasRoom();
  const spool = await Spool.open({ dir: join(config.data_dir, spoolName), hasRoom });
  return explainSmtp(
    SmtpServer.listen({
      listeners: smtpListeners(config),
      ...(config.proxy_peers === null ? {} : { proxyPeers: new NetworkSet(listOf(config.proxy_peers)) }),
      hostname: config.smtp_hostname,
      limits: smtpLimits(config),
      spool,
      intake: receiver,
      encryption,
      log,
      metrics: smtpMetrics(metrics),
    }),
  );
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
    spoolBytes: config.smtp_spool_bytes,
    minBytesPerSecond: config.smtp_min_rate,
    minRatePeriodMs: config.smtp_min_rate_time,
    maxSessionMs: config.smtp_session_timeout,
    stressPercent: config.smtp_stress_percent,
    stressIdleTimeoutMs: config.smtp_stress_idle_timeout,
    stressMaxErrors: config.smtp_stress_max_errors,
    rates: {
      trusted: config.smtp_trusted_networks === "none" ? null : new NetworkSet(listOf(config.smtp_trusted_networks)),
      connectionsPerMinute: config.smtp_connections_per_minute,
      mailsPerMinute: config.smtp_mails_per_minute,
      mailboxMailsPerMinute: config.smtp_mailbox_mails_per_minute,
      unknownRecipients: config.smtp_max_unknown_recipients,
      unknownPeriodMs: config.smtp_unknown_recipients_time,
    },
  };
}

function smtpMetrics(metrics: Metrics): SmtpMetrics {
  return {
    connectionOpened: () => metrics.smtpConnections.inc(),
    handshakeEnded: (outcome) => metrics.tlsHandshakes.inc({ listener: "smtp", outcome }),
    connectionClosed: () => metrics.smtpConnections.dec(),
    connectionRefused: (reason) => metrics.smtpConnectionsRefused.inc({ reason }),
    connectionCut: (reason) => metrics.smtpConnectionsCut.inc({ reason }),
    stressChanged: (isOn) => metrics.smtpStress.set(isOn ? 1 : 0),
    mailPutOff: (reason) => metrics.smtpMailsPutOff.inc({ reason }),
    mailSpooled: () => metrics.smtpMailsSpooled.inc(),
    recipientRefused: (reason) => metrics.smtpRecipientsRefused.inc({ reason }),
    mailEnded: (outcome) => metrics.smtpMails.inc({ outcome }),
  };
}
