import type { Setting } from "./setting.ts";
import { smtpSettings } from "./smtp-settings.ts";

/**
 * Every configuration key: one table, from which the loader, `--help`, `catmails config` and the README's table are made.
 * A key `http_port` is `--http-port`, `CATMAILS_HTTP_PORT` and `http_port:` in `catmails.yaml`.
 */
export const settings = {
  data_dir: {
    kind: "path",
    fallback: "./catmails-data",
    about: "Directory of the database and everything else that is kept",
  },
  http_host: { kind: "host", fallback: "127.0.0.1", about: "Address that HTTP and WebSocket listen on" },
  http_port: { kind: "port", fallback: "8080", about: "Port of HTTP and WebSocket; 0 takes a free one" },
  https_host: { kind: "host", fallback: null, about: "Address that HTTPS listens on; `http_host` when unset" },
  https_port: {
    kind: "port",
    fallback: null,
    isOptional: true,
    about: "Port of HTTPS and secure WebSocket; off when unset",
  },
  smtp_host: { kind: "host", fallback: "127.0.0.1", about: "Address that SMTP listens on" },
  smtp_port: { kind: "port", fallback: "2525", about: "Port of SMTP; 0 takes a free one" },
  smtps_port: {
    kind: "port",
    fallback: null,
    isOptional: true,
    about: "Port of SMTP with TLS from its first byte; off when unset",
  },
  proxy_peers: {
    kind: "networks",
    fallback: null,
    isOptional: true,
    about: "Proxies in front of SMTP that send a PROXY header: addresses or networks, comma separated; none when unset",
  },
  lmtp_host: { kind: "host", fallback: "127.0.0.1", about: "Address that LMTP listens on" },
  lmtp_port: {
    kind: "port",
    fallback: null,
    isOptional: true,
    about: "Port of LMTP, off when unset; 0 takes a free one",
  },
  lmtp_socket: {
    kind: "path",
    fallback: null,
    isOptional: true,
    about: "Unix socket that LMTP listens on, which every local user may open; off when unset",
  },
  smtp_hostname: { kind: "domain", fallback: null, about: "Name in the SMTP greeting; `domain` when unset" },
  domain: { kind: "domain", fallback: "mails.localhost", about: "Domain that is served from the first start on" },
  temp_domain: { kind: "domain", fallback: null, about: "Domain of temp mailboxes; `temp.` + `domain` when unset" },
  time_zone: { kind: "text", fallback: "UTC", about: "IANA time zone of `received_at`" },
  bootstrap_mail: {
    kind: "address",
    fallback: null,
    about: "Main mailbox of the first user; `demo@` + `domain` when unset",
  },
  bootstrap_key: {
    kind: "secret",
    fallback: null,
    isOptional: true,
    about: "API key of the first user; made and printed once when unset",
  },
  tls_cert: {
    kind: "path",
    fallback: null,
    isOptional: true,
    about: "PEM file of a certificate and its chain; read again when it changes",
  },
  tls_key: {
    kind: "path",
    fallback: null,
    isOptional: true,
    about: "PEM file of the key of `tls_cert`; the same file when unset",
  },
  tls_dir: {
    kind: "path",
    fallback: null,
    isOptional: true,
    about: "Directory of certificates, such as certbot's `live`; read again when they change",
  },
  acme_domains: {
    kind: "domains",
    fallback: "off",
    about: "Names to get certificates for by ACME, comma separated, such as that of `smtp_hostname`; `off` gets none",
  },
  acme_email: {
    kind: "address",
    fallback: null,
    isOptional: true,
    about: "Address that the ACME authority may write to; none when unset",
  },
  acme_directory: {
    kind: "text",
    fallback: "https://acme-v02.api.letsencrypt.org/directory",
    about: "ACME directory of the authority; to use it is to agree to its terms",
  },
  acme_ca: {
    kind: "path",
    fallback: null,
    isOptional: true,
    about: "PEM file of the root that the ACME directory's own certificate comes from; what Node trusts when unset",
  },
  acme_challenge: {
    kind: "choice",
    choices: ["http-01", "tls-alpn-01"],
    fallback: "http-01",
    about: "How the authority checks a name: on its port 80, or on its port 443 (`https_port`)",
  },
  acme_http_port: {
    kind: "port",
    fallback: null,
    isOptional: true,
    about: "Port on `https_host` that answers http-01 and nothing else; only `http_port` does when unset",
  },
  mta_sts_mode: {
    kind: "choice",
    choices: ["off", "none", "testing", "enforce"],
    fallback: "off",
    about: "Mode of the MTA-STS policy, served over HTTPS on `mta-sts.` + each domain; `off` serves none",
  },
  mta_sts_mx: {
    kind: "domains",
    fallback: null,
    about: "MX names in the MTA-STS policy, comma separated; `smtp_hostname` when unset",
  },
  mta_sts_max_age: {
    kind: "duration",
    fallback: "7d",
    min: 86_400_000,
    about: "How long senders keep the MTA-STS policy, from 1d to 365d",
  },
  log_level: {
    kind: "choice",
    choices: ["trace", "debug", "info", "warn", "error", "silent"],
    fallback: "info",
    about: "Least important line that is logged",
  },
  log_format: {
    kind: "choice",
    choices: ["auto", "json", "pretty"],
    fallback: "auto",
    about: "Log lines for programs or people; `auto` is pretty on a terminal",
  },
  shutdown_timeout: { kind: "duration", fallback: "20s", min: 100, about: "How long a stop waits for work in flight" },

  ...smtpSettings,

  sender_checks: {
    kind: "choice",
    choices: ["public", "all", "off"],
    fallback: "public",
    about: "SPF, DKIM, DMARC and ARC of mail from public addresses, from `all` (a relay in front, tests), or `off`",
  },
  dns_servers: {
    kind: "servers",
    fallback: "system",
    about:
      "DNS servers for those checks and for `doctor`: `system`, or addresses with or without a port, comma separated",
  },
  dnsbl_zones: {
    kind: "domains",
    fallback: "off",
    about: "DNS block lists, comma separated, whose listed clients are refused (550); `off` asks none",
  },
  greylist_delay: {
    kind: "duration",
    fallback: "0",
    about: "How long an unknown sender is put off (451); 0 is no greylisting",
  },
  greylist_window: {
    kind: "duration",
    fallback: "24h",
    min: 1000,
    about: "How long the second try of a sender that was put off counts",
  },
  greylist_lifetime: {
    kind: "duration",
    fallback: "36d",
    min: 1000,
    about: "How long a sender that came back stays known after its last mail",
  },

  http_max_body_bytes: { kind: "bytes", fallback: "1MiB", min: 1024, about: "Largest request body (413)" },
  mailgun_signing_key: {
    kind: "secret",
    fallback: null,
    isOptional: true,
    about: "HTTP webhook signing key of Mailgun; its posts are refused when unset",
  },
  sendgrid_public_key: {
    kind: "text",
    fallback: null,
    isOptional: true,
    about: "Public key of SendGrid's signed Inbound Parse; its posts need an ingest key when unset",
  },
  ses_topics: {
    kind: "text",
    fallback: null,
    isOptional: true,
    about:
      "ARNs of the SNS topics that Amazon SES publishes mail to, comma separated; their posts are refused when unset",
  },
  ses_certificates: {
    kind: "path",
    fallback: null,
    isOptional: true,
    about: "Directory of SNS signing certificates (PEM); they are fetched from SNS when unset",
  },
  ingest_max_buffered_bytes: {
    kind: "bytes",
    fallback: "256MiB",
    min: 1024,
    about:
      "Memory for mails that are being posted, once for those with a key and once for those with a signature (503)",
  },
  ingest_timeout: {
    kind: "duration",
    fallback: "30s",
    min: 100,
    about: "Time in which a posted mail must arrive, and 10 s more for each MiB of it (408)",
  },
  max_followers: { kind: "count", fallback: "10000", min: 1, about: "Open WebSockets and waits of all users (429)" },
  max_followers_per_user: {
    kind: "count",
    fallback: "1000",
    min: 1,
    about: "Open WebSockets and waits of one user (429)",
  },
  ws_max_buffered_bytes: {
    kind: "bytes",
    fallback: "256KiB",
    min: 1,
    about: "Bytes queued on a socket before it is read from the store instead",
  },
  ws_stall_timeout: {
    kind: "duration",
    fallback: "30s",
    min: 100,
    about: "No progress on a full socket for this long closes it (1013)",
  },
  ws_ping_interval: { kind: "duration", fallback: "25s", min: 100, about: "Time between two pings on a WebSocket" },
  ws_dead_timeout: {
    kind: "duration",
    fallback: "60s",
    min: 200,
    about: "A peer that answers no ping for this long is dropped",
  },

  temp_ttl: {
    kind: "duration",
    fallback: "24h",
    about: "Lifetime of a temp mailbox made without `ttl`; 0 is for ever",
  },
  temp_max_ttl: { kind: "duration", fallback: "0", about: "Longest `ttl` that may be asked for; 0 is no limit" },
  temp_max_mailboxes: {
    kind: "count",
    fallback: "10000",
    about: "Live temp mailboxes of one user (429); 0 is no limit",
  },
  temp_name_reserved: {
    kind: "duration",
    fallback: "30d",
    about: "How long a given-up chosen name is kept from other users; random names are kept for ever",
  },
  raw_files_from: {
    kind: "bytes",
    fallback: "8KiB",
    about:
      "Mails that come together and have so many bytes, or one alone that has 8 times as many, lie in files beside the database; 0 keeps all in it",
  },
  retention_age: { kind: "duration", fallback: "30d", about: "Mails older than this are deleted; 0 is never" },
  retention_count: {
    kind: "count",
    fallback: "0",
    about: "Mails of one user beyond the newest so many are deleted; 0 is never",
  },
  quota_bytes: {
    kind: "bytes",
    fallback: "0",
    about: "Bytes of mail one user may keep before new mail is refused (452); 0 is no quota",
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;
