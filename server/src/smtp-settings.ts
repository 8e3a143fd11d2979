import type { Setting } from "./setting.ts";

/** The keys that bound what comes in over SMTP and LMTP: sizes, counts, paces and rates. */
export const smtpSettings = {
  smtp_max_message_bytes: {
    kind: "bytes",
    fallback: "25MiB",
    min: 1024,
    about: "Largest mail, counted as it arrives (552)",
  },
  smtp_max_recipients: { kind: "count", fallback: "100", min: 1, about: "Recipients of one mail (452 for the rest)" },
  smtp_max_line_bytes: { kind: "bytes", fallback: "4096", min: 512, about: "Longest command line (500)" },
  smtp_max_mails: { kind: "count", fallback: "1000", min: 1, about: "Mails on one connection, then 421" },
  smtp_max_errors: { kind: "count", fallback: "10", min: 1, about: "Refused commands on one connection, then 421" },
  smtp_idle_timeout: {
    kind: "duration",
    fallback: "300s",
    min: 100,
    about: "Silence after which a connection is closed (421)",
  },
  smtp_max_connections: { kind: "count", fallback: "1000", min: 1, about: "Open SMTP connections (421 for the rest)" },
  smtp_max_connections_per_ip: {
    kind: "count",
    fallback: "50",
    min: 1,
    about: "Open SMTP connections of one address, or one IPv6 /64 (421)",
  },
  smtp_max_received: {
    kind: "count",
    fallback: "100",
    min: 1,
    about: "Received header fields before a mail counts as looping (554)",
  },
  smtp_max_buffered_bytes: {
    kind: "bytes",
    fallback: "256MiB",
    min: 1024,
    about: "Memory for all mails being received or stored; when it is full, senders wait or mails go through files",
  },
  smtp_spool_bytes: {
    kind: "bytes",
    fallback: "512KiB",
    min: 1024,
    about:
      "Mails larger than this go through a file in the data directory while they come in; up to 8 times as large, only while memory is short",
  },
  smtp_min_rate: {
    kind: "bytes",
    fallback: "500",
    min: 1,
    about: "Bytes a second that a mail has to come with, or the connection is closed (421)",
  },
  smtp_min_rate_time: {
    kind: "duration",
    fallback: "30s",
    min: 100,
    about: "How long that rate is measured each time, from the start of a mail on",
  },
  smtp_session_timeout: {
    kind: "duration",
    fallback: "10m",
    min: 100,
    about: "Longest SMTP connection, and a minute more for each 5 MB that came (421)",
  },
  smtp_stress_percent: {
    kind: "count",
    fallback: "80",
    min: 1,
    about: "Connections in use, in percent of `smtp_max_connections`, above which the next two hold",
  },
  smtp_stress_idle_timeout: {
    kind: "duration",
    fallback: "10s",
    min: 100,
    about: "`smtp_idle_timeout` while connections are scarce",
  },
  smtp_stress_max_errors: {
    kind: "count",
    fallback: "1",
    min: 1,
    about: "`smtp_max_errors` while connections are scarce",
  },
  smtp_trusted_networks: {
    kind: "networks",
    orNone: true,
    fallback: "127.0.0.0/8, ::1, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7, fe80::/10",
    about: "Clients that none of the following rates holds for; `none` is nobody",
  },
  smtp_connections_per_minute: {
    kind: "count",
    fallback: "300",
    about: "Connections of one address, or one IPv6 /64, in a minute (421); 0 is no limit",
  },
  smtp_mails_per_minute: {
    kind: "count",
    fallback: "1000",
    about: "Mails of one address, or one IPv6 /64, in a minute (450); 0 is no limit",
  },
  smtp_mailbox_mails_per_minute: {
    kind: "count",
    fallback: "1000",
    about: "Mails to one mailbox in a minute, whoever sends them (450); 0 is no limit",
  },
  smtp_max_unknown_recipients: {
    kind: "count",
    fallback: "20",
    about: "Unknown recipients that one address may name before it is told nothing (450); 0 is no limit",
  },
  smtp_unknown_recipients_time: {
    kind: "duration",
    fallback: "10m",
    min: 100,
    about: "Time in which those are counted, and for which the address is then told nothing",
  },
  min_free_bytes: {
    kind: "bytes",
    fallback: "512MiB",
    about: "New mail is put off (452) while less than this, or one and a half of the largest mail, is free on the disk",
  },
} as const satisfies Record<string, Setting>;
