import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ConfigError, loadConfig, parseBytes, parseDuration, type ConfigSources } from "../src/config.ts";
import { directoryFor } from "./support/temporary-directory.ts";

test("nothing has to be configured", (t) => {
  const { config, file } = loadConfig({ cwd: directoryFor(t) });
  assert.equal(file, null);
  assert.equal(config.http_port, 8080);
  assert.equal(config.smtp_port, 2525);
  assert.equal(config.temp_domain, "temp.mails.localhost");
  assert.equal(config.bootstrap_mail, "demo@mails.localhost");
  assert.equal(config.smtp_hostname, "mails.localhost");
  assert.equal(config.smtp_max_message_bytes, 25 * 1024 * 1024);
  assert.equal(config.smtp_idle_timeout, 300_000);
  assert.equal(config.retention_age, 30 * 86_400_000);
});

test("names follow the configured domain", (t) => {
  const { config } = loadConfig({ cwd: directoryFor(t), env: { CATMAILS_DOMAIN: "Mails.Example" } });
  assert.equal(config.domain, "mails.example");
  assert.equal(config.temp_domain, "temp.mails.example");
  assert.equal(config.bootstrap_mail, "demo@mails.example");
});

test("flags win over environment, environment over file, file over defaults", (t) => {
  const cwd = directoryFor(t);
  writeFileSync(join(cwd, "catmails.yaml"), "http_port: 1\nsmtp_port: 1\ntemp_ttl: 1h\n");
  const loaded = loadConfig({
    cwd,
    env: { CATMAILS_HTTP_PORT: "2", CATMAILS_SMTP_PORT: "2" },
    flags: { http_port: "3" },
  });
  assert.deepEqual(
    [loaded.config.http_port, loaded.config.smtp_port, loaded.config.temp_ttl, loaded.config.smtp_host],
    [3, 2, 3_600_000, "127.0.0.1"],
  );
  const { http_port, smtp_port, temp_ttl, smtp_host } = loaded.origins;
  assert.deepEqual([http_port, smtp_port, temp_ttl, smtp_host], ["flag", "environment", "file", "default"]);
});

test("a secret may stand in a file", (t) => {
  const cwd = directoryFor(t);
  writeFileSync(join(cwd, "key"), "mk_0123456789abcdef\n");
  const { config } = loadConfig({ cwd, env: { CATMAILS_BOOTSTRAP_KEY_FILE: join(cwd, "key") } });
  assert.equal(config.bootstrap_key, "mk_0123456789abcdef");
});

const wrong: [string, Omit<ConfigSources, "cwd">, RegExp][] = [
  ["an unknown variable", { env: { CATMAILS_HTP_PORT: "1" } }, /CATMAILS_HTP_PORT.*Did you mean CATMAILS_HTTP_PORT\?/],
  ["a _FILE that is no secret", { env: { CATMAILS_DOMAIN_FILE: "x" } }, /Unknown environment variable/],
  ["a secret's file that is missing", { env: { CATMAILS_BOOTSTRAP_KEY_FILE: "/nonexistent" } }, /ENOENT/],
  ["a port out of range", { flags: { http_port: "70000" } }, /--http-port: "70000" is not a port/],
  ["a size without sense", { env: { CATMAILS_SMTP_MAX_MESSAGE_BYTES: "big" } }, /is not a size/],
  ["a size below the smallest", { env: { CATMAILS_SMTP_MAX_LINE_BYTES: "10" } }, /too small/],
  ["a duration without sense", { env: { CATMAILS_TEMP_TTL: "soon" } }, /is not a duration/],
  ["an unknown choice", { env: { CATMAILS_LOG_LEVEL: "loud" } }, /one of trace, debug/],
  ["an unknown time zone", { env: { CATMAILS_TIME_ZONE: "Mars/Base" } }, /time zone/],
  ["a wrong address", { env: { CATMAILS_BOOTSTRAP_MAIL: "demo" } }, /not a mail address/],
  [
    "a name that is none in a list",
    { env: { CATMAILS_ACME_DOMAINS: "mx.example.org, *.example.org" } },
    /domain names/,
  ],
  ["a DNS server that is a name", { env: { CATMAILS_DNS_SERVERS: "ns.example.org" } }, /IP addresses/],
  ["an authority without HTTPS", { env: { CATMAILS_ACME_DIRECTORY: "http://ca.example/dir" } }, /https:\/\/ address/],
  [
    "a challenge that nothing can answer",
    { env: { CATMAILS_ACME_DOMAINS: "mx.example.org", CATMAILS_ACME_CHALLENGE: "tls-alpn-01" } },
    /https_port is not set/,
  ],
  ["a policy for longer than anybody keeps one", { env: { CATMAILS_MTA_STS_MAX_AGE: "366d" } }, /longest is 365d/],
  ["a file that is named and missing", { file: "/nonexistent.yaml" }, /Cannot read the configuration file/],
];

for (const [what, sources, message] of wrong) {
  test(`${what} is one clear line`, (t) => {
    assert.throws(
      () => loadConfig({ cwd: directoryFor(t), ...sources }),
      (error) => error instanceof ConfigError && message.test(error.message) && !error.message.includes("\n"),
    );
  });
}

test("a secret that is refused is not shown", (t) => {
  assert.throws(
    () => loadConfig({ cwd: directoryFor(t), env: { CATMAILS_BOOTSTRAP_KEY: "mk_short" } }),
    (error) => error instanceof ConfigError && !error.message.includes("mk_short"),
  );
});

const badFiles: [string, string, RegExp][] = [
  ["an unknown key", "htp_port: 1", /Unknown key htp_port.*Did you mean http_port\?/],
  ["no mapping", "- 1", /one mapping/],
  ["broken YAML", "a: [", /not valid YAML/],
  ["a nested value", "http_port: {a: 1}", /must be a text or a number/],
];

for (const [what, text, message] of badFiles) {
  test(`a file with ${what} is refused`, (t) => {
    const cwd = directoryFor(t);
    writeFileSync(join(cwd, "catmails.yaml"), text);
    assert.throws(() => loadConfig({ cwd }), message);
  });
}

test("sizes and durations are read as people write them", () => {
  assert.deepEqual(["512", "64KiB", "1.5 MiB", "1GB", "x"].map(parseBytes), [512, 65_536, 1_572_864, 1e9, null]);
  assert.deepEqual(["0", "30", "30s", "5m", "24h", "30d", "250ms", "x"].map(parseDuration), [
    0,
    30_000,
    30_000,
    300_000,
    86_400_000,
    2_592_000_000,
    250,
    null,
  ]);
});
