import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { SenderDesk, type Authentication } from "../src/sender/sender.ts";
import { DnsServer } from "./support/dns-server.ts";
import { plainMail, SigningDomain } from "./support/signed-mail.ts";
import { silentLog } from "./support/silent-log.ts";

const hostname = "mx.mails.test";
const goodIp = "192.0.2.10";
const badIp = "198.51.100.66";

describe("what is found out about who sent a mail", () => {
  let dns: DnsServer;
  let desk: SenderDesk;
  before(async () => {
    dns = await DnsServer.start();
    desk = new SenderDesk({ dnsServers: dns.setting, zones: [], hostname, log: silentLog() });
  });
  after(async () => {
    await desk[Symbol.asyncDispose]();
    await dns[Symbol.asyncDispose]();
  });
  let count = 0;
  /** A domain of its own for each test: the cache remembers the others. */
  let name: string;
  beforeEach(() => {
    name = `d${++count}.example`;
  });

  async function check(raw: Uint8Array, more: { from?: string; ip?: string } = {}): Promise<Authentication> {
    const { from = `a@${name}`, ip = goodIp } = more;
    const found = await desk.check({ raw, envelopeFrom: from, ip, helo: "client.example" });
    assert.ok(found, "nobody looked");
    return found;
  }

  const spf = `v=spf1 ip4:${goodIp} -all`;

  test("a signed mail from a good client passes all, with who vouched for what", async () => {
    const domain = new SigningDomain(dns, name, { spf, dmarc: "v=DMARC1; p=reject" });
    assert.deepEqual(await check(await domain.sign(plainMail(`a@${name}`))), {
      spf: { result: "pass", domain: name },
      dkim: [{ result: "pass", domain: name, selector: "s1" }],
      dmarc: { result: "pass", domain: name, policy: "reject", aligned: ["spf", "dkim"] },
      arc: { result: "none", sealer: null },
    });
  });

  test("a body that was changed fails its signature", async () => {
    const domain = new SigningDomain(dns, name);
    const signed = await domain.sign(plainMail(`a@${name}`));
    const found = await check(Buffer.from(signed.toString().replace("482913", "000000")));
    assert.deepEqual(found.dkim, [
      { result: "fail", domain: name, selector: "s1", reason: "body hash did not verify" },
    ]);
  });

  test("one vouching is enough: DKIM where the client is wrong, SPF where nothing is signed", async () => {
    const domain = new SigningDomain(dns, name, { spf, dmarc: "v=DMARC1; p=reject" });
    const forwarded = await check(await domain.sign(plainMail(`a@${name}`)), { ip: badIp });
    assert.deepEqual(
      [forwarded.spf.result, forwarded.dmarc.result, forwarded.dmarc.aligned],
      ["fail", "pass", ["dkim"]],
    );
    const unsigned = await check(plainMail(`a@${name}`));
    assert.deepEqual([unsigned.dkim, unsigned.dmarc.result, unsigned.dmarc.aligned], [[], "pass", ["spf"]]);
  });

  test("somebody else's good name helps nobody: DMARC needs the domain that the reader sees", async () => {
    const honest = new SigningDomain(dns, `honest-${name}`, { spf });
    dns.add(`_dmarc.${name}`, "TXT", "v=DMARC1; p=reject");
    const forged = await check(await honest.sign(plainMail(`ceo@${name}`)), { from: `x@honest-${name}` });
    assert.deepEqual([forged.spf.result, forged.dkim[0]?.result], ["pass", "pass"]);
    assert.deepEqual(forged.dmarc, { result: "fail", domain: name, policy: "reject", aligned: [] });
  });

  test("a subdomain vouches for its organisation unless the policy is strict", async () => {
    const sub = new SigningDomain(dns, `mail.${name}`);
    dns.add(`_dmarc.${name}`, "TXT", "v=DMARC1; p=quarantine");
    const signed = await sub.sign(plainMail(`a@${name}`));
    assert.equal((await check(signed, { ip: badIp })).dmarc.result, "pass");
    const strictName = `strict-${name}`;
    const strictSub = new SigningDomain(dns, `mail.${strictName}`);
    dns.add(`_dmarc.${strictName}`, "TXT", "v=DMARC1; p=quarantine; adkim=s; aspf=s");
    const found = await check(await strictSub.sign(plainMail(`a@${strictName}`)), { ip: badIp });
    assert.deepEqual([found.dmarc.result, found.dmarc.policy], ["fail", "quarantine"]);
  });

  test("a domain without records says nothing, and so is found nothing", async () => {
    const found = await check(plainMail(`a@${name}`));
    assert.deepEqual(
      [found.spf.result, found.dkim, found.dmarc.result, found.dmarc.policy],
      ["none", [], "none", null],
    );
  });

  test("no author or two domains of authors is no author to vouch for", async () => {
    for (const raw of [
      Buffer.from("Subject: x\r\n\r\nx\r\n"),
      Buffer.from("From: a@one.example, b@two.example\r\n\r\nx\r\n"),
      Buffer.from("From: a@one.example\r\nFrom: b@two.example\r\n\r\nx\r\n"),
    ]) {
      assert.equal((await check(raw)).dmarc.result, "permerror");
    }
  });

  test("the null sender is judged by the client's own name", async () => {
    dns.add("client.example", "TXT", spf);
    assert.deepEqual((await check(plainMail(`a@${name}`), { from: "" })).spf, {
      result: "pass",
      domain: "client.example",
    });
  });

  test("an ARC chain is followed, and noticed when it is broken", async () => {
    const author = new SigningDomain(dns, name, { spf, dmarc: "v=DMARC1; p=reject" });
    const list = new SigningDomain(dns, `list-${name}`);
    const sealed = await list.seal(await author.sign(plainMail(`a@${name}`)));
    assert.deepEqual((await check(sealed)).arc, { result: "pass", sealer: `list-${name}` });
    const broken = await check(Buffer.from(sealed.toString().replace("dmarc=pass", "dmarc=fail")));
    assert.equal(broken.arc.result, "fail");
  });

  test("results in the mail's own header are never believed, also with our name", async () => {
    dns.add(`_dmarc.${name}`, "TXT", "v=DMARC1; p=reject");
    const claims = `${hostname}; spf=pass smtp.mailfrom=${name}; dkim=pass header.d=${name}; dmarc=pass header.from=${name}`;
    const forged = [
      `Authentication-Results: ${claims}`,
      `ARC-Authentication-Results: i=1; ${claims}`,
      `Received-SPF: pass (${hostname}: trust me) client-ip=${goodIp}; envelope-from=a@${name}`,
      `Received: from client.example ([${goodIp}]) by ${hostname}; Mon, 23 Nov 2026 10:00:00 +0000`,
      `Return-Path: <a@${name}>`,
    ].join("\r\n");
    const found = await check(plainMail(`a@${name}`, `${forged}\r\n`), { ip: badIp, from: "" });
    assert.deepEqual(found.dkim, []);
    assert.notEqual(found.spf.result, "pass");
    assert.deepEqual(found.dmarc, { result: "fail", domain: name, policy: "reject", aligned: [] });
    assert.notEqual(found.arc.result, "pass");
  });

  test("a mail that is built to be expensive is cut short, and fails all the same", async () => {
    const domain = new SigningDomain(dns, name, { dmarc: "v=DMARC1; p=reject" });
    const signed = await domain.sign(plainMail(`a@${name}`));
    const field = signed.subarray(0, signed.indexOf("From:"));
    for (const [what, mail] of [
      ["too many signatures", Buffer.concat([...Array.from({ length: 20 }, () => field), signed])],
      ["too long a header", Buffer.concat([Buffer.from(`X: ${"y".repeat(1000)}\r\n`.repeat(140)), signed])],
    ] as const) {
      dns.questions.length = 0;
      const found = await check(mail, { ip: badIp });
      assert.deepEqual([found.dkim.map(({ result }) => result), found.dmarc.result], [["policy"], "fail"], what);
      assert.equal(dns.questions.includes(`TXT ${domain.keyName}`), false, what);
    }
  });

  test("a forged mail that is built to hold the checks up fails at once, and holds up nobody", async () => {
    dns.add(`_dmarc.${name}`, "TXT", "v=DMARC1; p=reject");
    const field = (tags: string): string =>
      `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=${name}; s=s; bh=AAAA; b=AAAA; ${tags}\r\n`;
    const spaced = `${"a  ".repeat(2_000_000)}\r\n`;
    const expensive: Record<string, string> = {
      "lines without a name": `X: y\r\n${" \r\n".repeat(40_000)}From: ceo@${name}\r\n\r\nx\r\n`,
      "white space in a signature": `${field(`h=from; z=${" ".repeat(100_000)}x`)}From: ceo@${name}\r\n\r\nx\r\n`,
      "names that a signature covers": `${field(`h=from${":a".repeat(15_000)}`)}${"b:\r\n".repeat(20_000)}From: ceo@${name}\r\n\r\nx\r\n`,
      "a From of many lines": `X: ${"y".repeat(130_000)}\r\nFrom: ceo@${name}\r\n${" \r\n".repeat(20_000)}\r\nx\r\n`,
      "one long line": `${field("h=from")}From: ceo@${name}\r\n\r\n${spaced}`,
      "signatures of many lengths": `${Array.from({ length: 20 }, (_, l) => field(`h=from; l=${l}`)).join("")}From: ceo@${name}\r\n\r\n${spaced}`,
      "short lines": `${field("h=from").repeat(3)}From: ceo@${name}\r\n\r\n${"\tx\r\n".repeat(2_000_000)}`,
      "more signatures than need be hashed": `${field("h=from").repeat(20)}From: ceo@${name}\r\n\r\n${spaced.repeat(2)}`,
    };
    await check(plainMail(`a@${name}`));
    for (const [what, mail] of Object.entries(expensive)) {
      const { dmarc } = await check(Buffer.from(mail), { ip: badIp });
      // Nobody answers where a thread is held up: it would be a temporary error.
      assert.ok(["fail", "permerror"].includes(dmarc.result), `${what}: ${JSON.stringify(dmarc)}`);
    }
  });

  test("a key that nobody can ask for vouches for nothing, and leaves nothing open", async () => {
    const domain = new SigningDomain(dns, name, { dmarc: "v=DMARC1; p=reject" });
    const signed = (await domain.sign(plainMail(`a@${name}`))).toString();
    const label = "s".repeat(63);
    const selector = Array.from({ length: 4 }, () => label).join(".");
    const found = await check(Buffer.from(signed.replace("s=s1;", `s=${selector};`)), { ip: badIp });
    assert.deepEqual(
      found.dkim.map(({ result, reason }) => [result, reason]),
      [["neutral", "no key"]],
    );
    assert.equal(found.dmarc.result, "fail");
  });

  test("a hundred mails that break parsers break nothing", async () => {
    const mails = Array.from({ length: 100 }, (_, seed) =>
      Buffer.from(
        `From: <${"(".repeat(seed)}@${name}\r\nDKIM-Signature: v=1; a=rsa-sha256; d=${"=;".repeat(seed)}\r\n` +
          `ARC-Seal: i=${seed};;;\r\nDKIM-Signature:\r\n${"\u0000".repeat(seed)}`,
      ),
    );
    const found = await Promise.all(mails.map((raw) => check(raw)));
    assert.deepEqual(
      found.filter(({ dmarc }) => dmarc.result === "pass"),
      [],
    );
  });

  describe("when the DNS is in trouble", () => {
    test("a policy that cannot be read is temperror, not fail", async () => {
      dns.misconduct.set(`_dmarc.${name}`, "servfail");
      assert.equal((await check(plainMail(`a@${name}`))).dmarc.result, "temperror");
    });

    test("a key that cannot be read leaves DMARC open: it might have passed", async () => {
      const domain = new SigningDomain(dns, name, { spf, dmarc: "v=DMARC1; p=reject" });
      dns.misconduct.set(domain.keyName, "servfail");
      const found = await check(await domain.sign(plainMail(`a@${name}`)), { ip: badIp });
      assert.deepEqual([found.dkim[0]?.result, found.dmarc.result], ["temperror", "temperror"]);
    });

    test("but a stranger's slow domain cannot: DMARC fails in time", async () => {
      dns.add(`_dmarc.${name}`, "TXT", "v=DMARC1; p=reject");
      const slow = new SigningDomain(dns, `slow-${name}`);
      dns.misconduct.set(slow.keyName, "hang").set(`slow-${name}`, "hang");
      const startedMs = performance.now();
      const found = await check(await slow.sign(plainMail(`a@${name}`)), { ip: badIp, from: `x@slow-${name}` });
      assert.ok(performance.now() - startedMs < 5000);
      assert.deepEqual(
        [found.spf.result, found.dkim[0]?.result, found.dmarc.result],
        ["temperror", "temperror", "fail"],
      );
    });
  });
});
