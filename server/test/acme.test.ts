import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, test, type TestContext } from "node:test";
import { once } from "node:events";
import { checkAcme } from "../src/cli/doctor/acme-check.ts";
import { loadConfig } from "../src/config.ts";
import type { Attempt } from "../src/acme/attempts.ts";
import { HttpChallenges } from "../src/acme/challenge-doors.ts";
import { Renewal, type RenewalOptions } from "../src/acme/renewal.ts";
import { ChallengeListener } from "../src/http/challenge-listener.ts";
import { createLog } from "../src/log.ts";
import { Pebble, skipWithoutPebble, type PebbleOptions } from "./support/pebble.ts";
import { ServiceProcess } from "./support/service-process.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { directoryFor } from "./support/temporary-directory.ts";
import { until } from "./support/until.ts";

const name = "mx.mails.example";
const skip = skipWithoutPebble();

interface Line {
  msg: string;
  name?: string;
  nextTry?: string;
}

/** An authority that finds `mx.mails.example` on this machine, and a data directory. */
async function authority(t: TestContext, options: PebbleOptions = {}): Promise<{ pebble: Pebble; dataDir: string }> {
  const directory = directoryFor(t);
  const pebble = await Pebble.start(join(directory, "pebble"), options);
  t.after(() => pebble[Symbol.asyncDispose]());
  pebble.dns.add(name, "A", "127.0.0.1");
  return { pebble, dataDir: join(directory, "data") };
}

/** A renewal alone, whose http-01 pebble can see. */
async function renewing(
  t: TestContext,
  place: { pebble: Pebble; dataDir: string; directoryUrl?: string },
  lines: Line[],
) {
  const { pebble, dataDir } = place;
  const door = new HttpChallenges();
  const findChallenge = (token: string): string | null => door.find(token);
  const listener = await ChallengeListener.listen({ host: "127.0.0.1", port: 0, findChallenge });
  t.after(() => listener[Symbol.asyncDispose]());
  pebble.http.lead(listener.port);
  const options: RenewalOptions = {
    names: [name],
    directoryUrl: place.directoryUrl ?? pebble.directoryUrl,
    caFile: pebble.rootFile,
    email: "ops@mails.example",
    accountDir: join(dataDir, "acme"),
    ordersFile: join(dataDir, "acme", "orders.json"),
    certificateDir: join(dataDir, "tls"),
    door,
    userAgent: "catmails/test",
    onRenewed: () => Promise.resolve(),
    log: createLog({ level: "info", format: "json", write: (line) => void lines.push(JSON.parse(line) as Line) }),
  };
  const start = (): Renewal => {
    const renewal = Renewal.start(options);
    t.after(() => renewal[Symbol.asyncDispose]());
    return renewal;
  };
  const chainFile = join(dataDir, "tls", name, "fullchain.pem");
  return { start, chainFile, keyFile: join(dataDir, "tls", name, "privkey.pem") };
}

const has =
  (file: string): (() => boolean) =>
  () => {
    try {
      return readFileSync(file, "utf8") !== "";
    } catch {
      return false;
    }
  };

function serverEnvironment(pebble: Pebble, more: Record<string, string>): Record<string, string> {
  return {
    CATMAILS_SMTP_HOSTNAME: name,
    CATMAILS_HTTPS_PORT: "0",
    CATMAILS_ACME_DOMAINS: name,
    CATMAILS_ACME_EMAIL: "ops@mails.example",
    CATMAILS_ACME_DIRECTORY: pebble.directoryUrl,
    CATMAILS_ACME_CA: pebble.rootFile,
    CATMAILS_LOG_LEVEL: "info",
    ...more,
  };
}

/** Names of the certificate that HTTPS shows; `null` while there is none. */
async function shownNames(port: number): Promise<string | null> {
  const socket = connect({ port, host: "127.0.0.1", servername: name, rejectUnauthorized: false });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerX509Certificate()?.subjectAltName ?? null;
  } catch {
    return null;
  } finally {
    socket.destroy();
  }
}

describe("a server that gets its certificate by ACME", { skip }, () => {
  test("starts without one, proves its name by http-01, and speaks TLS from then on", async (t) => {
    const { pebble, dataDir } = await authority(t, { badNoncePercent: 15 });
    await using server = await ServiceProcess.start({ dataDir, env: serverEnvironment(pebble, {}) });
    assert.equal(await announcesTls(server), false);
    pebble.http.lead(Number(new URL(server.report.http).port));
    const port = Number(new URL(server.report.https ?? "").port);
    await until("HTTPS has the certificate", async () => (await shownNames(port)) === `DNS:${name}`);
    assert.equal(await announcesTls(server), true);
    assert.deepEqual(
      server.log.filter((line) => line.includes("No certificate:")),
      [],
    );
    assert.equal(await server.stop(), 0);
    for (const file of [join("tls", name, "privkey.pem"), join("tls", name, "fullchain.pem"), "acme/orders.json"]) {
      assert.equal(statSync(join(dataDir, file)).mode & 0o777, 0o600, file);
    }
  });

  test("proves its name by tls-alpn-01, and uses certificate and account again after a restart", async (t) => {
    const { pebble, dataDir } = await authority(t);
    const env = serverEnvironment(pebble, { CATMAILS_ACME_CHALLENGE: "tls-alpn-01" });
    {
      await using server = await ServiceProcess.start({ dataDir, env });
      const port = Number(new URL(server.report.https ?? "").port);
      pebble.tls.lead(port);
      await until("HTTPS has the certificate", async () => (await shownNames(port)) === `DNS:${name}`);
      await server.stop();
    }
    const asked = pebble.log.length;
    await using server = await ServiceProcess.start({ dataDir, env });
    assert.equal(await shownNames(Number(new URL(server.report.https ?? "").port)), `DNS:${name}`);
    assert.equal(await server.stop(), 0);
    assert.equal(pebble.log.length, asked, "a restart asked the authority");
  });

  test("answers http-01 on a port of its own, and nothing else there", async (t) => {
    const door = new HttpChallenges();
    const findChallenge = (token: string): string | null => door.find(token);
    const listener = await ChallengeListener.listen({ host: "127.0.0.1", port: 0, findChallenge });
    t.after(() => listener[Symbol.asyncDispose]());
    const challenge = { name, token: "abc", keyAuthorization: "abc.def" };
    const ask = async (path: string): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${listener.port}${path}`);
      return `${answer.status} ${await answer.text()}`;
    };
    door.open(challenge);
    assert.equal(await ask("/.well-known/acme-challenge/abc"), "200 abc.def");
    assert.equal(await ask("/.well-known/acme-challenge/other"), "404 Not found\n");
    assert.equal(await ask("/api"), "404 Not found\n");
    door.close(challenge);
    assert.equal(await ask("/.well-known/acme-challenge/abc"), "404 Not found\n");
  });

  test("stops in the middle of an order, which counts as no failure", async (t) => {
    const { pebble, dataDir } = await authority(t);
    await using server = await ServiceProcess.start({ dataDir, env: serverEnvironment(pebble, {}) });
    // Nobody leads the authority anywhere, so that it waits for its check.
    await until("the authority was asked", () => pebble.requests("/order-plz") > 0);
    assert.equal(await server.stop(), 0);
    assert.deepEqual(
      server.log.filter((line) => line.includes("No certificate:")),
      [],
    );
    const orders = JSON.parse(readFileSync(join(dataDir, "acme", "orders.json"), "utf8")) as Record<string, Attempt>;
    assert.equal(orders[name]?.failures, 0);
  });

  test("opens that port where it is asked to", async (t) => {
    const { pebble, dataDir } = await authority(t);
    const env = serverEnvironment(pebble, { CATMAILS_ACME_HTTP_PORT: "0" });
    await using server = await ServiceProcess.start({ dataDir, env });
    const said = (): string | undefined => server.log.find((line) => line.includes("Answering http-01 alone"));
    await until("the port is told", () => said() !== undefined);
    const { port } = JSON.parse(said() ?? "{}") as { port: number };
    pebble.http.lead(port);
    const { port: securePort } = new URL(server.report.https ?? "");
    await until("HTTPS has the certificate", async () => (await shownNames(Number(securePort))) === `DNS:${name}`);
  });
});

describe("renewal", { skip }, () => {
  test("comes before the end, with the same key and account, also when the authority forgot the account", async (t) => {
    const place = await authority(t, { validitySeconds: 9 });
    const { pebble } = place;
    const lines: Line[] = [];
    const { start, chainFile, keyFile } = await renewing(t, place, lines);
    start();
    await until("there is a certificate", has(chainFile));
    const first = new X509Certificate(readFileSync(chainFile));
    const key = readFileSync(keyFile, "utf8");
    assert.equal(pebble.requests("/sign-me-up"), 1);
    const replaced = (by: X509Certificate) => () =>
      new X509Certificate(readFileSync(chainFile)).fingerprint256 !== by.fingerprint256;
    await until("it is renewed", replaced(first));
    assert.ok(Date.now() < first.validToDate.getTime(), "renewed after its end");
    const second = new X509Certificate(readFileSync(chainFile));
    assert.equal(second.publicKey.equals(first.publicKey), true);
    assert.equal(readFileSync(keyFile, "utf8"), key);
    assert.equal(pebble.requests("/sign-me-up"), 1, "the account was not used again");
    await pebble.end();
    await pebble.begin();
    await until("it is renewed once more", replaced(second));
    assert.equal(pebble.requests("/sign-me-up"), 2);
    assert.deepEqual(
      lines.filter(({ msg }) => msg !== "The authority gave a certificate"),
      [],
    );
  });

  test("replaces a certificate whose key has gone, and never one of somebody else's key", async (t) => {
    const place = await authority(t);
    const lines: Line[] = [];
    const { start, chainFile, keyFile } = await renewing(t, place, lines);
    const made = start();
    await until("there is a certificate", () => lines.length === 1);
    await made[Symbol.asyncDispose]();
    const first = readFileSync(chainFile, "utf8");
    rmSync(keyFile);
    rmSync(join(place.dataDir, "acme", "orders.json"));
    const mended = start();
    await until("there is another one", () => lines.length === 2);
    await mended[Symbol.asyncDispose]();
    const second = readFileSync(chainFile, "utf8");
    assert.notEqual(second, first);
    assert.equal(new X509Certificate(second).checkPrivateKey(createPrivateKey(readFileSync(keyFile))), true);
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const foreign = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    writeFileSync(keyFile, foreign);
    rmSync(join(place.dataDir, "acme", "orders.json"));
    start();
    await until("it says so", () => lines.length === 3);
    assert.match(lines[2]?.msg ?? "", /^No certificate: .*privkey\.pem holds no P-256 key/);
    assert.deepEqual([readFileSync(keyFile, "utf8"), readFileSync(chainFile, "utf8")], [foreign, second]);
  });

  test("of a name that fails its check says why in one line, and neither it nor a restart asks again soon", async (t) => {
    const place = await authority(t);
    const { pebble } = place;
    pebble.dns.zone.delete(name);
    const lines: Line[] = [];
    const { start } = await renewing(t, place, lines);
    const renewal = start();
    await until("it failed", () => lines.length > 0);
    const [line] = lines;
    assert.equal(line?.name, name);
    assert.match(
      line?.msg ?? "",
      /^No certificate: The authority's http-01 check of mx\.mails\.example failed: [^\n]+$/,
    );
    const pauseMs = Date.parse(line?.nextTry ?? "") - Date.now();
    assert.ok(pauseMs > 240_000 && pauseMs <= 360_000, `${pauseMs} ms`);
    await renewal[Symbol.asyncDispose]();
    const asked = pebble.log.length;
    // All that a start does before it waits is done when it is stopped.
    await start()[Symbol.asyncDispose]();
    assert.equal(pebble.log.length, asked);
    assert.equal(lines.length, 1);
    // The control: without what is remembered, a start does ask.
    pebble.dns.add(name, "A", "127.0.0.1");
    rmSync(join(place.dataDir, "acme", "orders.json"));
    start();
    await until("it asks", () => pebble.log.length > asked);
  });
});

test("an authority that cannot be reached is one line, and a doctor's finding", { skip }, async (t) => {
  const directoryUrl = "https://localhost:1/dir";
  const lines: Line[] = [];
  const place = await authority(t);
  const { start } = await renewing(t, { ...place, directoryUrl }, lines);
  start();
  await until("it failed", () => lines.length > 0);
  assert.match(lines[0]?.msg ?? "", /^No certificate: localhost:1 cannot be asked: [^\n]*ECONNREFUSED/);
  const { config } = loadConfig({
    flags: { acme_domains: `${name},other.example`, acme_directory: directoryUrl, data_dir: place.dataDir },
  });
  const findings = await checkAcme(config);
  assert.deepEqual(
    findings.map(({ verdict }) => verdict),
    ["bad", "note"],
  );
  assert.match(findings[0]?.detail ?? "", /has no certificate yet; the last order failed: localhost:1 cannot be asked/);
});

async function announcesTls(server: ServiceProcess): Promise<boolean> {
  await using client = await SmtpClient.connect(server.report.smtp.port);
  await client.reply();
  return (await client.command("EHLO c.example")).lines.some((line) => line.endsWith("STARTTLS"));
}
