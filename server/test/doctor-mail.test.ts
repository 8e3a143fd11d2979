import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { DnsLook } from "../src/cli/doctor/dns-look.ts";
import type { Finding } from "../src/cli/doctor/finding.ts";
import { examineMail, type Examination } from "../src/cli/doctor/mail-examination.ts";
import { loadConfig } from "../src/config.ts";
import { skipWithoutOpenssl, type PemPair } from "./support/certificate-maker.ts";
import { CommandLine } from "./support/command-line.ts";
import { DnsServer } from "./support/dns-server.ts";
import { ServiceProcess } from "./support/service-process.ts";
import { TlsPlace } from "./support/tls-place.ts";

const domain = "mails.example.net";
const host = "mx.mails.example.net";
const skip = skipWithoutOpenssl();

describe("what doctor says of a public domain", { skip }, () => {
  const place = new TlsPlace();
  let pair: PemPair;
  let dns: DnsServer;
  let server: ServiceProcess;

  before(async () => {
    pair = place.add([host, `mta-sts.${domain}`]);
    const env = {
      CATMAILS_DOMAIN: domain,
      CATMAILS_SMTP_HOSTNAME: host,
      CATMAILS_TLS_DIR: place.path("live"),
      CATMAILS_HTTPS_PORT: "0",
      CATMAILS_MTA_STS_MODE: "enforce",
    };
    server = await ServiceProcess.start({ dataDir: place.path("data"), env });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    place[Symbol.dispose]();
  });

  /** Records with which everything is right, but for the names given. */
  function zone(changes: Record<string, Parameters<DnsServer["add"]>[]>): void {
    dns.zone.clear();
    const right: Record<string, Parameters<DnsServer["add"]>[]> = {
      mx: [[domain, "MX", `10 ${host}`]],
      address: [[host, "A", "127.0.0.1"]],
      policy: [[`mta-sts.${domain}`, "A", "127.0.0.1"]],
      sts: [[`_mta-sts.${domain}`, "TXT", `v=STSv1; id=${policyId}`]],
      reports: [[`_smtp._tls.${domain}`, "TXT", `v=TLSRPTv1; rua=mailto:postmaster@${domain}`]],
      dane: [[`_25._tcp.${host}`, "TLSA", `3 1 1 ${keyDigest()}`]],
    };
    for (const records of Object.values({ ...right, ...changes })) {
      for (const record of records) dns.add(...record);
    }
  }

  const policyId = createHash("sha256")
    .update(`version: STSv1\r\nmode: enforce\r\nmx: ${host}\r\nmax_age: 604800\r\n`)
    .digest("hex")
    .slice(0, 16);
  const keyDigest = (): string =>
    createHash("sha256")
      .update(new X509Certificate(pair.chain).publicKey.export({ type: "spki", format: "der" }))
      .digest("hex");

  async function examine(
    changes: Record<string, Parameters<DnsServer["add"]>[]> = {},
    options: Partial<Examination> & { flags?: Record<string, string> } = {},
  ): Promise<Finding[]> {
    zone(changes);
    const { smtp, https = "" } = server.report;
    const { config } = loadConfig({
      flags: {
        domain,
        smtp_hostname: host,
        smtp_port: String(smtp.port),
        mta_sts_mode: "enforce",
        ...options.flags,
      },
      cwd: place.path("."),
    });
    return await examineMail(config, {
      running: true,
      outbound: smtp,
      domains: [domain, "temp.mails.localhost"],
      ...options,
      reach: {
        dns: new DnsLook(dns.setting),
        ports: { smtp: smtp.port, https: Number(new URL(https).port) },
        ca: readFileSync(place.maker.rootFile, "latin1"),
        ...options.reach,
      },
    });
  }

  const of = (findings: readonly Finding[], check: string): string =>
    findings
      .filter((finding) => finding.check === check)
      .map(({ verdict, detail }) => `${verdict}: ${detail}`)
      .join("\n");

  before(async () => {
    dns = await DnsServer.start();
  });
  after(() => dns[Symbol.asyncDispose]());

  test("where all is right is good throughout, and the records are those to publish", async () => {
    const findings = await examine();
    const checks = findings.filter(({ check }) => check !== "publish");
    assert.deepEqual(
      checks.filter(({ verdict }) => verdict !== "good"),
      [],
    );
    assert.deepEqual(
      checks.map(({ check }) => check),
      ["address", "certificate", "domain", "mta-sts", "tls reports", "port 25 in", "port 25 out", "dane"],
    );
    const records = findings.filter(({ check }) => check === "publish").map(({ detail }) => detail);
    assert.deepEqual(
      records.filter((record) => !/^mx\S+ (?:A|AAAA) /.test(record)),
      [
        `${domain}. MX 10 ${host}.`,
        `mta-sts.${domain}. CNAME ${host}.`,
        `_mta-sts.${domain}. TXT "v=STSv1; id=${policyId}"`,
        `_smtp._tls.${domain}. TXT "v=TLSRPTv1; rua=mailto:postmaster@${domain}"`,
        `_25._tcp.${host}. TLSA 3 1 1 ${keyDigest()} ; only in a zone that is signed (DNSSEC)`,
      ],
    );
  });

  const wrongs: [string, Parameters<typeof examine>[0], string, RegExp][] = [
    ["no MX", { mx: [] }, "domain", /^note: .*no MX record/],
    ["mail that goes elsewhere", { mx: [[domain, "MX", "10 mx.other.example"]] }, "domain", /^note: .* not to mx\./],
    ["an MX without address", { address: [] }, "address", /^bad: .*nobody can send mail here/],
    [
      "an MX that is an alias",
      {
        address: [
          [host, "CNAME", "a.example.net"],
          ["a.example.net", "A", "127.0.0.1"],
        ],
      },
      "address",
      /^bad: .*CNAME/,
    ],
    [
      "an address where nobody listens",
      { address: [[host, "A", "127.0.0.9"]] },
      "port 25 in",
      /^note: 127\.0\.0\.9 .*nobody listens/,
    ],
    ["no MTA-STS record", { sts: [] }, "mta-sts", /^note: it is on here, but/],
    [
      "two MTA-STS records",
      {
        sts: [
          [`_mta-sts.${domain}`, "TXT", "v=STSv1; id=1"],
          [`_mta-sts.${domain}`, "TXT", "v=STSv1; id=2"],
        ],
      },
      "mta-sts",
      /^bad: .*2 records/,
    ],
    [
      "an MTA-STS record of an older policy",
      { sts: [[`_mta-sts.${domain}`, "TXT", "v=STSv1; id=1"]] },
      "mta-sts",
      /^note: .*the id/,
    ],
    ["a policy host without address", { policy: [] }, "mta-sts", /^bad: .*has no address/],
    [
      "a policy host where nobody listens",
      { policy: [[`mta-sts.${domain}`, "A", "127.0.0.9"]] },
      "mta-sts",
      /^bad: .*cannot be had: nobody listens/,
    ],
    ["no TLS reports", { reports: [] }, "tls reports", /^note: /],
    [
      "a report record without a place",
      { reports: [[`_smtp._tls.${domain}`, "TXT", "v=TLSRPTv1"]] },
      "tls reports",
      /^bad: /,
    ],
    ["no TLSA record", { dane: [] }, "dane", /^note: .*no TLSA/],
    [
      "a TLSA record of another key",
      { dane: [[`_25._tcp.${host}`, "TLSA", `3 1 1 ${"00".repeat(32)}`]] },
      "dane",
      /^bad: .*refuse to deliver/,
    ],
  ];
  for (const [what, changes, check, expected] of wrongs) {
    test(`names ${what}`, async () => {
      const findings = await examine(changes);
      assert.match(of(findings, check), expected);
    });
  }

  test("takes a TLSA record of the intermediate certificate", async () => {
    const [, intermediate = ""] = pair.chain.split(/(?<=-----END CERTIFICATE-----\n)/);
    const digest = createHash("sha512").update(new X509Certificate(intermediate).raw).digest("hex");
    assert.match(of(await examine({ dane: [[`_25._tcp.${host}`, "TLSA", `2 0 2 ${digest}`]] }), "dane"), /^good: /);
  });

  test("names a policy that keeps mail out, and a certificate for another name", async () => {
    const other = "mx2.mails.example.net";
    const findings = await examine({ address: [[other, "A", "127.0.0.1"]] }, { flags: { smtp_hostname: other } });
    assert.match(of(findings, "mta-sts"), /^bad: .*does not name mx2\.mails\.example\.net: senders refuse/);
    assert.match(of(findings, "certificate"), /^note: it is not for mx2\.mails\.example\.net/);
    assert.match(of(findings, "port 25 in"), /^bad: .* answers as mx\.mails\.example\.net, not as mx2/);
  });

  test("names a certificate that nobody trusts", async () => {
    const root = place.maker.make(["unrelated.example"]).chain;
    const findings = await examine({}, { reach: { ca: root } });
    assert.match(of(findings, "certificate"), /^note: it is not trusted \(/);
    assert.match(of(findings, "mta-sts"), /^bad: .*cannot be had/);
  });

  test("is notes alone where the DNS knows nothing of it, and a server does not run", async () => {
    for (const name of [domain, host, `_mta-sts.${domain}`, `_smtp._tls.${domain}`, `_25._tcp.${host}`]) {
      dns.misconduct.set(name, "servfail");
    }
    const findings = await examine({}, { running: false, outbound: null });
    dns.misconduct.clear();
    assert.deepEqual([...new Set(findings.map(({ verdict }) => verdict))], ["note"]);
    assert.match(of(findings, "domain"), /could not be asked \(ESERVFAIL\)/);
  });
});

test("doctor prints it all as rows or objects, and asks the DNS it is told to and nobody about local names", async () => {
  await using dns = await DnsServer.start();
  dns.add(domain, "MX", `10 ${host}`).add(host, "A", "127.0.0.1");
  await using line = new CommandLine();
  const flags = ["--smtp-port", "0", "--http-port", "0", "--dns-servers", dns.setting];
  const local = await line.run(["doctor", ...flags]);
  assert.equal(local.code, 0, local.stdout);
  assert.deepEqual(dns.questions, []);
  const { code, stdout } = await line.run(["doctor", ...flags, "--domain", domain, "--smtp-hostname", host]);
  assert.match(stdout, /^good +domain +mail for mails\.example\.net goes to mx\.mails\.example\.net$/m);
  assert.match(stdout, /^note +publish +mails\.example\.net\. MX 10 mx\.mails\.example\.net\.$/m);
  assert.match(stdout, /^note +port 25 out +not tried/m);
  assert.equal(code, 0, stdout);
  const outbound = await line.run(["doctor", ...flags, "--domain", domain, "--outbound", "[127.0.0.9]:1"]);
  assert.match(outbound.stdout, /^note +port 25 out +127\.0\.0\.9 port 1: nobody listens there/m);
  const stranger = createServer((socket) => void socket.end("220 \x1b]0;title\x07\x1b[2Jmx ESMTP\r\n"));
  stranger.listen(0, "127.0.0.1");
  await once(stranger, "listening");
  const place = `127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  const { stdout: said } = await line.run(["doctor", ...flags, "--domain", domain, "--outbound", place]);
  stranger.close();
  assert.match(said, /answers as .*mx$/m);
  assert.doesNotMatch(said, /[\x00-\x09\x0b-\x1f\x7f]/, "a terminal would obey it");
});
