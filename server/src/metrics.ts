import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "@prometheus-io/client";

const latencyBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** Everything that is measured, under names that begin with `catmails_`. No label ever holds an address, a key or mail content. */
export class Metrics {
  readonly #registry = new Registry();

  readonly smtpConnections = this.#gauge("smtp_connections", "Open SMTP connections");
  readonly smtpConnectionsRefused = this.#counter(
    "smtp_connections_refused_total",
    "SMTP connections refused, by reason",
    ["reason"],
  );
  readonly smtpConnectionsCut = this.#counter(
    "smtp_connections_cut_total",
    "SMTP connections ended with 421 because the client took too long, by reason",
    ["reason"],
  );
  readonly smtpStress = this.#gauge("smtp_stress", "1 while SMTP connections are scarce and its limits are stricter");
  readonly smtpMailsPutOff = this.#counter("smtp_mails_put_off_total", "MAIL commands answered 450 or 452, by reason", [
    "reason",
  ]);
  readonly smtpMailsSpooled = this.#counter("smtp_mails_spooled_total", "Mails that came in through a file", []);
  readonly smtpRecipientsRefused = this.#counter("smtp_recipients_refused_total", "Recipients refused, by reason", [
    "reason",
  ]);
  readonly smtpMails = this.#counter("smtp_mails_total", "Mails that came in over SMTP, by outcome", ["outcome"]);
  readonly ingestPosts = this.#counter("ingest_posts_total", "Posts of mail over HTTP, by adapter and outcome", [
    "adapter",
    "outcome",
  ]);
  readonly tlsHandshakes = this.#counter("tls_handshakes_total", "TLS handshakes, by listener and outcome", [
    "listener",
    "outcome",
  ]);
  readonly tlsCertificateExpiry = this.#gauge(
    "tls_certificate_expiry_seconds",
    "When the certificate that is served for a name expires, in Unix time",
    ["name"],
  );
  readonly receivedMails = this.#counter("received_mails_total", "Mails stored, whichever way they came in", []);
  readonly receivedBytes = this.#counter("received_bytes_total", "Raw bytes of stored mails", []);
  readonly receiveSeconds = this.#histogram("receive_seconds", "From the final dot to the synced commit");
  readonly senderChecks = this.#counter(
    "sender_checks_total",
    "Checks of who sent a mail, by DMARC result; skipped: too many others were waiting",
    ["dmarc"],
  );
  readonly followers = this.#gauge("followers", "Open WebSockets and waits");
  readonly pushedMails = this.#counter("pushed_mails_total", "Mails written to WebSockets", []);
  readonly socketsClosed = this.#counter("sockets_closed_total", "WebSockets closed by the server, by close code", [
    "code",
  ]);
  readonly httpRequests = this.#counter("http_requests_total", "HTTP requests by status", ["status"]);
  readonly httpSeconds = this.#histogram("http_request_seconds", "Time to answer an HTTP request, waits included");
  readonly diskFreeBytes = this.#gauge("disk_free_bytes", "Bytes free for the data directory");
  readonly diskLow = this.#gauge("disk_low", "1 while new mail is put off because the disk is nearly full");
  readonly mailsDeleted = this.#counter("mails_deleted_total", "Mails deleted, by reason", ["reason"]);

  constructor() {
    collectDefaultMetrics({ register: this.#registry, prefix: "catmails_" });
  }

  /** Content type of {@link text}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in the Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name: `catmails_${name}`, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  #gauge<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge({ name: `catmails_${name}`, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  #histogram(name: string, help: string): Histogram {
    return new Histogram({ name: `catmails_${name}`, help, buckets: latencyBuckets, registers: [this.#registry] });
  }
}
