import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SenderDesk, type Authentication } from "../src/sender/sender.ts";
import { DnsServer } from "./support/dns-server.ts";
import { plainMail } from "./support/signed-mail.ts";
import { silentLog } from "./support/silent-log.ts";

function open(dns: DnsServer, more: Partial<ConstructorParameters<typeof SenderDesk>[0]> = {}): SenderDesk {
  return new SenderDesk({ dnsServers: dns.setting, zones: [], hostname: "mx.mails.test", log: silentLog(), ...more });
}

function mailOf(domain: string, raw = plainMail(`a@${domain}`)) {
  return { raw, envelopeFrom: `a@${domain}`, ip: "192.0.2.10", helo: "client.example" };
}

const result = (found: Authentication | null): string => found?.dmarc.result ?? "unchecked";

/** So many mails at once. */
function checkMany(desk: SenderDesk, count: number): Promise<(Authentication | null)[]> {
  return Promise.all(Array.from({ length: count }, async (_, i) => desk.check(mailOf(`d${i}.example`))));
}

describe("the desk where senders are checked", () => {
  test("says temperror within 5 s when no DNS server answers, and at once after a while", async () => {
    await using dns = await DnsServer.start();
    dns.isSilent = true;
    await using desk = open(dns);
    const startedMs = performance.now();
    const found = await checkMany(desk, 20);
    assert.ok(performance.now() - startedMs < 5000, `${performance.now() - startedMs} ms`);
    assert.deepEqual([...new Set(found.map(result))], ["temperror"]);
    // Looking for the servers has ended by now, so the next mails cost no time.
    await desk.check(mailOf("between.example"));
    const againMs = performance.now();
    assert.equal(result(await desk.check(mailOf("late.example"))), "temperror");
    assert.ok(performance.now() - againMs < 1000, `${performance.now() - againMs} ms`);
    assert.deepEqual(desk.pending, { mails: 0, bytes: 0 });
  });

  test("takes so many mails and bytes, and does not look at more", async () => {
    await using dns = await DnsServer.start();
    dns.isSilent = true;
    const raw = plainMail("a@d.example");
    await using few = open(dns, { maxMails: 3, maxParallel: 1 });
    await using light = open(dns, { maxBytes: 2 * raw.length });
    for (const [desk, room] of [
      [few, 3],
      [light, 2],
    ] as const) {
      const asked = Array.from({ length: 10 }, () => desk.check(mailOf("d.example", raw)));
      assert.equal(asked.filter((check) => check !== null).length, room);
      assert.deepEqual(desk.pending, { mails: room, bytes: room * raw.length });
    }
  });

  test("a mail that waited for its turn too long is temperror too", async () => {
    await using dns = await DnsServer.start();
    dns.isSilent = true;
    await using desk = open(dns, { maxParallel: 1, timeoutMs: 700 });
    const startedMs = performance.now();
    const found = await checkMany(desk, 5);
    assert.ok(performance.now() - startedMs < 5000);
    assert.deepEqual([...new Set(found.map(result))], ["temperror"]);
  });

  test("copies the mail before it returns", async () => {
    await using dns = await DnsServer.start();
    dns.add("_dmarc.d.example", "TXT", "v=DMARC1; p=reject");
    await using desk = open(dns);
    const raw = plainMail("a@d.example");
    const check = desk.check(mailOf("d.example", raw));
    raw.fill(0);
    assert.equal((await check)?.dmarc.domain, "d.example");
  });

  test("leaves what is asked unchecked when it is closed, and looks at nothing after", async () => {
    await using dns = await DnsServer.start();
    dns.isSilent = true;
    const desk = open(dns, { zones: ["bl.test"] });
    const [check, listing] = [checkMany(desk, 1), desk.isListed("192.0.2.1")];
    await desk[Symbol.asyncDispose]();
    assert.deepEqual([await check, await listing], [[null], false]);
    assert.deepEqual([desk.check(mailOf("d.example")), await desk.isListed("192.0.2.1")], [null, false]);
  });
});

describe("DNS block lists", () => {
  test("list by the documented answers only, of IPv4 octets and IPv6 nibbles, and never while they are silent", async () => {
    await using dns = await DnsServer.start();
    const listings: Record<string, string> = {
      "1.2.0.192": "127.0.0.2",
      "2.2.0.192": "127.255.255.254",
      "3.2.0.192": "203.0.113.9",
      "4.2.0.192": "127.0.1.4",
      "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2": "127.0.0.3",
    };
    for (const [label, answer] of Object.entries(listings)) dns.add(`${label}.bl.test`, "A", answer);
    dns.add("7.2.0.192.other.test", "A", "127.0.0.2");
    dns.misconduct.set("5.2.0.192.bl.test", "servfail");
    dns.misconduct.set("6.2.0.192.bl.test", "hang").set("7.2.0.192.bl.test", "servfail");
    await using desk = open(dns, { zones: ["bl.test", "other.test"] });
    const clients = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1"];
    const listed = await Promise.all(clients.map((ip) => desk.isListed(ip)));
    assert.deepEqual(listed, [true, true, false, false, true, true]);
    const others = ["192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.99", "no address"];
    assert.deepEqual(await Promise.all(others.map((ip) => desk.isListed(ip))), [false, false, true, false, false]);
  });
});
