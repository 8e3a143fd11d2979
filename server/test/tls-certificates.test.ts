import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TLSSocket, type ConnectionOptions } from "node:tls";
import { promisify } from "node:util";
import { CertificateFault } from "../src/tls/certificate-fault.ts";
import type { Certificates } from "../src/tls/certificates.ts";
import { skipWithoutOpenssl, writePair, type PemPair } from "./support/certificate-maker.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { freePort, MemoryIntake, openDoor, portOf, secureFreePort } from "./support/smtp-door.ts";
import { fingerprintOf, TlsPlace } from "./support/tls-place.ts";
import { until } from "./support/until.ts";

const run = promisify(execFile);
const skip = skipWithoutOpenssl();

/** A door on these certificates, and what it serves. */
async function serve(encryption: Certificates) {
  const door = await openDoor(new MemoryIntake(), { encryption, listeners: [freePort, secureFreePort] });
  const port = portOf(door, 1);
  /** Fingerprint of the certificate that a client gets who asks for this name; nobody's name is none. */
  const served = async (servername = "", options: ConnectionOptions = {}): Promise<string> => {
    await using client = await SmtpClient.connectTls(port, { servername, ...options });
    assert.ok(client.socket instanceof TLSSocket);
    return client.socket.getPeerCertificate().fingerprint256;
  };
  return { door, served, [Symbol.asyncDispose]: () => door[Symbol.asyncDispose]() };
}

describe("certificates are chosen by the name that a client asks for", { skip }, () => {
  test("the name itself, then a wildcard for its first label, then the default", async () => {
    using place = new TlsPlace();
    const first = place.add(["a.test", "also-a.test"]);
    const wild = place.add(["*.b.test"]);
    const exact = place.add(["mail.b.test"]);
    const own = place.add(["mx.test"]);
    await using encryption = await place.open();
    await using house = await serve(encryption);
    const expected: [string, PemPair][] = [
      ["a.test", first],
      ["Also-A.TEST", first],
      ["mail.b.test", exact],
      ["other.b.test", wild],
      ["b.test", own],
      ["deep.other.b.test", own],
      ["elsewhere.test", own],
      ["", own],
    ];
    for (const [name, pair] of expected) assert.equal(await house.served(name), fingerprintOf(pair), name);
  });

  test("the default is the first of all where none has the server's name", async () => {
    using place = new TlsPlace();
    const first = place.add(["a.test"]);
    place.add(["b.test"]);
    await using encryption = await place.open();
    await using house = await serve(encryption);
    assert.equal(await house.served(), fingerprintOf(first));
    assert.equal(await house.served("mx.test"), fingerprintOf(first));
  });

  test("ECDSA and RSA for one name are both offered", async () => {
    using place = new TlsPlace();
    const ec = place.add(["mx.test"]);
    const rsa = place.add(["mx.test"], { key: "rsa" });
    await using encryption = await place.open();
    await using house = await serve(encryption);
    const ask = (ciphers: string): Promise<string> => house.served("mx.test", { ciphers, maxVersion: "TLSv1.2" });
    assert.equal(await ask("ECDHE-ECDSA-AES128-GCM-SHA256"), fingerprintOf(ec));
    assert.equal(await ask("ECDHE-RSA-AES128-GCM-SHA256"), fingerprintOf(rsa));
  });

  test("of two of one kind the one that expires later is served", async () => {
    using place = new TlsPlace();
    const short = place.maker.make(["mx.test"], { days: 20 });
    const long = place.maker.make(["mx.test"], { days: 40 });
    writePair(place.path("live", "1"), short);
    writePair(place.path("live", "2"), long);
    writePair(place.path("own", "3"), place.maker.make(["mx.test"], { days: 30 }));
    await using encryption = await place.open();
    await using house = await serve(encryption);
    assert.equal(await house.served("mx.test"), fingerprintOf(long));
  });

  test("openssl s_client -starttls smtp is shown a whole chain for each name", async () => {
    using place = new TlsPlace();
    const names = ["a.test", "b.test", "mx.test"];
    for (const name of names) place.add([name]);
    await using encryption = await place.open();
    await using house = await serve(encryption);
    for (const name of names) {
      const at = ["-starttls", "smtp", "-connect", `127.0.0.1:${house.door.address.port}`, "-servername", name];
      const judge = ["-CAfile", place.maker.rootFile, "-verify_return_error", "-verify_hostname", name, "-showcerts"];
      const client = run("openssl", ["s_client", ...at, ...judge]);
      client.child.stdin?.end("QUIT\r\n");
      const { stdout } = await client;
      assert.match(stdout, /Verify return code: 0 \(ok\)/);
      assert.match(stdout, new RegExp(`0 s:CN = ${name}\\n[^]*1 s:CN = Test Intermediate\\n`));
    }
  });
});

describe("certificates that change on disk", { skip }, () => {
  test("are served within 5 s, also when a link is turned to another directory", async () => {
    using place = new TlsPlace();
    const files = (name: string): string => place.path("archive", name);
    writePair(files("1"), place.maker.make(["mx.test"]));
    mkdirSync(place.path("live"));
    symlinkSync(files("1"), place.path("live", "mx.test"));
    await using encryption = await place.open();
    await using house = await serve(encryption);
    const next = place.maker.make(["mx.test"]);
    writePair(files("2"), next);
    const turnedAtMs = performance.now();
    symlinkSync(files("2"), place.path("turned"));
    renameSync(place.path("turned"), place.path("live", "mx.test"));
    await until("the new one is served", async () => (await house.served()) === fingerprintOf(next));
    assert.ok(performance.now() - turnedAtMs < 5_000);
  });

  test("are served in place of the old, with names that are new", async () => {
    using place = new TlsPlace();
    place.add(["mx.test"]);
    await using encryption = await place.open();
    await using house = await serve(encryption);
    const next = place.maker.make(["mx.test", "new.test"]);
    writePair(place.path("live", "mx.test"), next);
    const added = place.add(["added.test"]);
    await encryption.refresh();
    assert.equal(await house.served("new.test"), fingerprintOf(next));
    assert.equal(await house.served("added.test"), fingerprintOf(added));
  });

  test("may come first while the server runs: STARTTLS is announced from then on", async () => {
    using place = new TlsPlace();
    await using encryption = await place.open({ directory: null });
    await using house = await serve(encryption);
    await assert.rejects(house.served("mx.test"));
    const pair = place.maker.make(["mx.test"]);
    writePair(place.path("own", "mx.test"), pair);
    await encryption.refresh();
    await using client = await SmtpClient.ready(house.door.address.port);
    assert.match((await client.command("EHLO x")).lines.join(), /STARTTLS/);
    assert.equal(await house.served("mx.test"), fingerprintOf(pair));
  });

  for (const [name, spoil] of [
    ["a chain without its key", (place: TlsPlace, next: PemPair) => write(place, "fullchain.pem", next.chain)],
    ["a key without its chain", (place: TlsPlace, next: PemPair) => write(place, "privkey.pem", next.key)],
    ["half a chain", (place: TlsPlace, next: PemPair) => write(place, "fullchain.pem", next.chain.slice(0, -300))],
    ["half a certificate", (place: TlsPlace, next: PemPair) => write(place, "fullchain.pem", next.chain.slice(0, 200))],
    ["half a key", (place: TlsPlace, next: PemPair) => write(place, "privkey.pem", next.key.slice(0, 100))],
    ["an empty file", (place: TlsPlace) => truncateSync(place.path("live", "mx.test", "fullchain.pem"))],
    ["no files", (place: TlsPlace) => rmSync(place.path("live", "mx.test"), { recursive: true })],
    ["no directory", (place: TlsPlace) => rmSync(place.path("live"), { recursive: true })],
  ] as const) {
    test(`stay as they were while there is ${name}, and one line says so`, async () => {
      using place = new TlsPlace();
      const good = place.add(["mx.test"]);
      await using encryption = await place.open();
      await using house = await serve(encryption);
      const next = place.maker.make(["mx.test"]);
      spoil(place, next);
      for (let look = 0; look < 3; look++) await encryption.refresh();
      assert.equal(await house.served("mx.test"), fingerprintOf(good));
      const complaints = place.lines.filter((line) => line.includes('"level":50') && line.includes("mx.test"));
      assert.equal(complaints.length, 1, complaints.join());
      assert.match(complaints[0] ?? "", /The last good one is served until a restart/);
      assert.doesNotMatch(place.lines.join(), /PRIVATE KEY/);
      writePair(place.path("live", "mx.test"), next);
      await encryption.refresh();
      assert.equal(await house.served("mx.test"), fingerprintOf(next));
    });
  }

  test("are never seen as a pair that does not fit, while they are replaced again and again", async () => {
    using place = new TlsPlace();
    const pairs = [place.add(["mx.test"]), place.maker.make(["mx.test"])];
    await using encryption = await place.open();
    await using house = await serve(encryption);
    const known = new Set(pairs.map(fingerprintOf));
    for (let round = 0; round < 40; round++) {
      const refreshed = encryption.refresh();
      const pair = pairs[round % 2];
      assert.ok(pair);
      write(place, "privkey.pem", pair.key);
      await nextTurn();
      write(place, "fullchain.pem", pair.chain);
      assert.ok(known.has(await house.served("mx.test")));
      await refreshed;
    }
  });
});

describe("a certificate's end", { skip }, () => {
  test("is warned of once, and can be read as a metric by name", async (t) => {
    using place = new TlsPlace();
    const soon = place.add(["mx.test", "*.mx.test"], { days: 90 });
    place.add(["later.test"], { days: 180 });
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 80 * 86_400_000 });
    await using encryption = await place.open();
    for (let look = 0; look < 3; look++) await encryption.refresh();
    const warnings = place.lines.filter((line) => line.includes('"level":40'));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /mx\.test.*The certificate expires soon/);
    const text = await place.metrics.text();
    const seconds = Date.parse(new X509Certificate(soon.chain).validTo) / 1000;
    for (const name of ["mx.test", "*.mx.test"]) {
      assert.ok(text.includes(`catmails_tls_certificate_expiry_seconds{name="${name}"} ${seconds}\n`), text);
    }
    assert.match(text, /expiry_seconds\{name="later\.test"\}/);
  });
});

describe("a certificate of a few days", { skip }, () => {
  test("is warned of when it is nearly over, and not all its life", async (t) => {
    using place = new TlsPlace();
    place.add(["mx.test"], { days: 6 });
    await using encryption = await place.open();
    const warnings = (): string[] => place.lines.filter((line) => line.includes("The certificate expires soon"));
    assert.deepEqual(warnings(), []);
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 5 * 86_400_000 });
    await encryption.refresh();
    assert.equal(warnings().length, 1);
  });
});

describe("files of a certificate", { skip }, () => {
  test("are found in every form that is documented", async () => {
    using place = new TlsPlace();
    const names = ["flat-crt.test", "flat-pem.test", "tls.test", "live.test"];
    const [crt, pem, tls, live] = names.map((name) => place.maker.make([name]));
    assert.ok(crt && pem && tls && live);
    const put = (file: string, text: string): void => writeFileSync(place.path("live", file), text);
    for (const directory of ["live", "live/secret", "live/.hidden"]) mkdirSync(place.path(directory));
    put("flat.crt", crt.chain);
    put("flat.key", crt.key);
    put("x.flat.pem", pem.chain);
    put("x.flat.key", pem.key);
    put("secret/tls.crt", tls.chain);
    put("secret/tls.key", tls.key);
    writePair(place.path("live", "live.test"), live);
    // What certbot puts beside them.
    put("live.test/cert.pem", live.chain);
    put("live.test/chain.pem", live.chain);
    put("README", "This directory contains your keys and certificates.");
    put(".hidden/tls.crt", tls.chain);
    put(".hidden/tls.key", live.key);
    const both = place.path("both.pem");
    const one = place.maker.make(["one-file.test"]);
    writeFileSync(both, one.key + one.chain);
    await using encryption = await place.open({ pair: { certFile: both, keyFile: both } });
    await using house = await serve(encryption);
    for (const [index, pair] of [crt, pem, tls, live].entries()) {
      assert.equal(await house.served(names[index]), fingerprintOf(pair));
    }
    assert.equal(await house.served("one-file.test"), fingerprintOf(one));
    assert.deepEqual(
      place.lines.filter((line) => line.includes('"level":50')),
      [],
    );
  });

  test("that are named must be usable at the start, and the fault says in one line what is wrong", async () => {
    using place = new TlsPlace();
    const pair = place.add(["mx.test"]);
    const certFile = place.path("live", "mx.test", "fullchain.pem");
    const keyFile = place.path("key.pem");
    const other = place.maker.make(["mx.test"]);
    const locked = pair.key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    const fault = async (message: RegExp, files = { certFile, keyFile }): Promise<void> => {
      await assert.rejects(
        place.open({ pair: files }),
        (error) => error instanceof CertificateFault && message.test(error.message) && !error.message.includes("\n"),
      );
    };
    await fault(/key\.pem cannot be read \(ENOENT\)\.$/);
    await fault(/absent cannot be read \(ENOENT\)\.$/, { certFile: place.path("absent"), keyFile: certFile });
    for (const [text, message] of [
      [other.key, /key\.pem is not the key of the first certificate in .*fullchain\.pem\.$/],
      [locked, /key\.pem is locked with a passphrase/],
      [pair.chain, /key\.pem holds no whole private key/],
    ] as const) {
      writeFileSync(keyFile, text);
      await fault(message);
    }
    await fault(/key\.pem is not whole/, {
      certFile: (writeFileSync(keyFile, pair.chain.slice(0, 300)), keyFile),
      keyFile,
    });
    await assert.rejects(place.open({ directory: place.path("nowhere") }), /nowhere cannot be read \(ENOENT\)/);
  });

  test("that one pair of many lacks keep no other from being served", async () => {
    using place = new TlsPlace();
    const good = place.add(["mx.test"]);
    writePair(place.path("live", "broken"), { ...place.maker.make(["broken.test"]), key: good.key });
    await using encryption = await place.open();
    await using house = await serve(encryption);
    assert.equal(await house.served("broken.test"), fingerprintOf(good));
    assert.match(place.lines.join(), /is not the key of the first certificate.* It is not served/);
  });

  test("are warned of when every user of the machine can read the key", async () => {
    using place = new TlsPlace();
    const pair = place.maker.make(["mx.test"]);
    for (const [name, mode] of [
      ["open", 0o644],
      ["closed", 0o640],
    ] as const) {
      writePair(place.path("live", name), pair);
      writeFileSync(place.path("live", name, "fullchain.pem"), pair.chain);
      rmSync(place.path("live", name, "privkey.pem"));
      writeFileSync(place.path("live", name, "privkey.pem"), pair.key, { mode });
    }
    await using encryption = await place.open();
    assert.ok(encryption.isReady);
    const warnings = place.lines.filter((line) => line.includes("every user of this machine"));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /open.privkey\.pem/);
  });
});

function write(place: TlsPlace, file: "fullchain.pem" | "privkey.pem", text: string): void {
  writeFileSync(place.path("live", "mx.test", file), text);
}
