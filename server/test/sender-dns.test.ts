import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, beforeEach, describe, test } from "node:test";
import { DnsCache } from "../src/sender/dns-cache.ts";
import { DnsResolver, type DnsResolverOptions } from "../src/sender/dns-resolver.ts";
import type { Outcome, RecordValue } from "../src/sender/dns-message.ts";
import { ServerWatch } from "../src/sender/server-watch.ts";
import { DnsServer } from "./support/dns-server.ts";
import { until } from "./support/until.ts";

/** Asks with two seconds of patience and room for many questions. */
function ask(resolver: DnsResolver, name: string, type = "TXT", patienceMs = 2000): Promise<RecordValue[]> {
  return resolver.within({ deadlineMs: performance.now() + patienceMs, maxQuestions: 1000 })(name, type);
}

async function codeOf(answer: Promise<unknown>): Promise<string> {
  try {
    await answer;
    return "answered";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

describe("the resolver", () => {
  let dns: DnsServer;
  let resolver: DnsResolver;
  before(async () => {
    dns = await DnsServer.start();
  });
  after(() => dns[Symbol.asyncDispose]());
  const open = (more: Partial<DnsResolverOptions> = {}): DnsResolver =>
    new DnsResolver({ servers: [{ host: "127.0.0.1", port: dns.port }], tryTimeoutMs: 150, ...more });
  beforeEach(() => {
    resolver = open();
    dns.isSilent = false;
    dns.negativeTtl = 60;
    dns.questions.length = 0;
    dns.zone.clear();
    dns.misconduct.clear();
  });

  test("answers every type as node:dns does, whatever the case of the name", async () => {
    dns.add("a.test", "A", "192.0.2.1").add("a.test", "AAAA", "2001:db8::1").add("a.test", "MX", "10 mx.test");
    dns.add("a.test", "TXT", ["v=spf1 ", "-all"]).add("1.2.0.192.in-addr.arpa", "PTR", "a.test");
    assert.deepEqual(await ask(resolver, "A.Test", "A"), ["192.0.2.1"]);
    assert.deepEqual(await ask(resolver, "a.test.", "AAAA"), ["2001:db8::1"]);
    assert.deepEqual(await ask(resolver, "a.test", "MX"), [{ priority: 10, exchange: "mx.test" }]);
    assert.deepEqual(await ask(resolver, "a.test"), [["v=spf1 ", "-all"]]);
    assert.deepEqual(await ask(resolver, "1.2.0.192.in-addr.arpa", "PTR"), ["a.test"]);
  });

  test("follows aliases, also to nothing", async () => {
    dns.add("alias.test", "CNAME", "real.test").add("real.test", "TXT", "here").add("lost.test", "CNAME", "gone.test");
    assert.deepEqual(await ask(resolver, "alias.test"), [["here"]]);
    assert.equal(await codeOf(ask(resolver, "lost.test")), "ENODATA");
  });

  test("asks again over TCP when an answer is cut off", async () => {
    dns.add("long.test", "TXT", "x".repeat(2000));
    const [chunks] = await ask(resolver, "long.test");
    assert.equal((chunks as string[]).join(""), "x".repeat(2000));
    assert.deepEqual(dns.questions, ["TXT long.test", "tcp TXT long.test"]);
  });

  test("tells what is not there, what fails and what is no name apart", async () => {
    dns.add("a.test", "A", "192.0.2.1").add("sick.test", "A", "192.0.2.1").add("shy.test", "A", "192.0.2.1");
    dns.misconduct.set("sick.test", "servfail").set("shy.test", "refused");
    assert.equal(await codeOf(ask(resolver, "absent.test")), "ENOTFOUND");
    assert.equal(await codeOf(ask(resolver, "a.test", "TXT")), "ENODATA");
    assert.equal(await codeOf(ask(resolver, "sick.test")), "ESERVFAIL");
    assert.equal(await codeOf(ask(resolver, "shy.test")), "EREFUSED");
    dns.questions.length = 0;
    for (const name of [`${"x".repeat(64)}.test`, "a..test", "", "\u00e4.test", `${"abcdefgh.".repeat(30)}test`]) {
      assert.equal(await codeOf(ask(resolver, name)), "EBADNAME", name);
    }
    assert.equal(await codeOf(ask(resolver, "a.test", "ANY")), "EBADNAME");
    assert.deepEqual(dns.questions, []);
  });

  test("hears nobody who does not answer the question exactly", async () => {
    dns.add("forged.test", "TXT", "a lie").add("odd.test", "TXT", "a lie");
    dns.misconduct.set("forged.test", "foreign-id").set("odd.test", "garbage");
    assert.equal(await codeOf(ask(resolver, "forged.test")), "ETIMEOUT");
    assert.equal(await codeOf(ask(resolver, "odd.test")), "ETIMEOUT");
  });

  test("private addresses in answers are answers like any other: nothing here connects to them", async () => {
    dns.add("inside.test", "A", "10.0.0.1").add("inside.test", "A", "127.0.0.1");
    assert.deepEqual(await ask(resolver, "inside.test", "A"), ["10.0.0.1", "127.0.0.1"]);
  });

  test("remembers an answer as long as its record says, and what is not there as long as the zone says", async () => {
    dns.add("short.test", "TXT", "one", 1).add("long.test", "TXT", "two", 300).add("never.test", "TXT", "three", 0);
    for (const name of ["short.test", "long.test", "never.test"]) await ask(resolver, name);
    for (const name of ["short.test", "long.test", "never.test"]) await ask(resolver, name);
    assert.deepEqual(dns.questions, ["TXT short.test", "TXT long.test", "TXT never.test", "TXT never.test"]);
    for (let i = 0; i < 2; i++) assert.equal(await codeOf(ask(resolver, "absent.test")), "ENOTFOUND");
    dns.negativeTtl = 0;
    for (let i = 0; i < 2; i++) assert.equal(await codeOf(ask(resolver, "gone.test")), "ENOTFOUND");
    assert.deepEqual(dns.questions.slice(4), ["TXT absent.test", "TXT gone.test", "TXT gone.test"]);
    dns.questions.length = 0;
    await until("the short one is forgotten", async () => {
      await ask(resolver, "short.test");
      return dns.questions.length > 0;
    });
    await ask(resolver, "long.test");
    assert.deepEqual(dns.questions, ["TXT short.test"]);
  });

  test("what somebody does to an answer changes nothing for the next", async () => {
    dns.add("a.test", "TXT", ["one", "two"]);
    (await ask(resolver, "a.test")).pop();
    assert.deepEqual(await ask(resolver, "a.test"), [["one", "two"]]);
  });

  test("holds so many answers and no more", async () => {
    const small = open({ cacheEntries: 50, tryTimeoutMs: 5000 });
    for (let i = 0; i < 200; i++) dns.add(`n${i}.test`, "TXT", `${i}`);
    await Promise.all(Array.from({ length: 200 }, (_, i) => ask(small, `n${i}.test`)));
    assert.equal(small.cached.entries, 50);
  });

  test("has one question on its way at a time, however many want to know", async () => {
    dns.add("a.test", "TXT", "x");
    await Promise.all(Array.from({ length: 100 }, () => ask(resolver, "a.test")));
    assert.deepEqual(dns.questions, ["TXT a.test"]);
  });

  test("gives up at the deadline, and after so many questions", async () => {
    dns.misconduct.set("slow.test", "hang");
    const startedMs = performance.now();
    assert.equal(await codeOf(ask(open({ tryTimeoutMs: 3000 }), "slow.test", "TXT", 100)), "ETIMEOUT");
    assert.ok(performance.now() - startedMs < 2500);
    dns.add("a.test", "TXT", "x");
    const two = resolver.within({ deadlineMs: performance.now() + 2000, maxQuestions: 2 });
    assert.deepEqual(
      [await codeOf(two("a.test", "TXT")), await codeOf(two("a.test", "TXT"))],
      ["answered", "answered"],
    );
    assert.equal(await codeOf(two("a.test", "TXT")), "ETIMEOUT");
  });

  test("goes on with the next server when one does not answer, and stays with it", async () => {
    await using silent = await DnsServer.start();
    silent.isSilent = true;
    const servers = [silent.port, dns.port].map((port) => ({ host: "127.0.0.1", port }));
    const both = open({ servers });
    dns.add("a.test", "TXT", "x").add("b.test", "TXT", "y");
    await ask(both, "a.test");
    await ask(both, "b.test");
    assert.deepEqual([silent.questions, dns.questions], [["TXT a.test"], ["TXT a.test", "TXT b.test"]]);
  });

  test("fails at once while no server answers, and notices when one is back", async () => {
    dns.isSilent = true;
    dns.add("a.test", "TXT", "x");
    const patient = open({ tryTimeoutMs: 100 });
    await Promise.all(Array.from({ length: 8 }, (_, i) => codeOf(ask(patient, `n${i}.test`))));
    await until("it has given up", async () => {
      dns.questions.length = 0;
      await codeOf(ask(patient, "probe.test"));
      return dns.questions.length === 0;
    });
    dns.isSilent = false;
    await until("it is back", async () => (await codeOf(ask(patient, "a.test"))) === "answered");
  });

  test("slow names switch nothing off, however many there are", async () => {
    dns.add("a.test", "TXT", "x");
    for (let i = 0; i < 30; i++) dns.misconduct.set(`slow${i}.test`, "hang");
    await Promise.all(Array.from({ length: 30 }, (_, i) => codeOf(ask(resolver, `slow${i}.test`))));
    await delay(50);
    assert.deepEqual(await ask(resolver, "a.test"), [["x"]]);
  });

  test("a server that is not there costs no time", async () => {
    const [gone] = [await DnsServer.start()];
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    const startedMs = performance.now();
    const none = open({ servers: [{ host: "127.0.0.1", port }], tryTimeoutMs: 30_000 });
    assert.equal(await codeOf(ask(none, "a.test", "TXT", 30_000)), "ETIMEOUT");
    assert.ok(performance.now() - startedMs < 20_000, "it waited for a port that is closed");
  });
});

describe("the cache of answers", () => {
  const options = { maxEntries: 3, maxBytes: 2000, maxTtlMs: 1000, maxNegativeTtlMs: 100, failedTtlMs: 10 };
  const records = (ttlMs: number, text = "x"): Outcome => ({ kind: "records", values: [text], ttlMs });

  test("believes nothing longer than its limits, whatever the record says", () => {
    const cache = new DnsCache(options);
    cache.set("a", records(9_000_000), 0);
    cache.set("b", { kind: "none", code: "ENOTFOUND", ttlMs: 9_000_000 }, 0);
    cache.set("c", { kind: "failed", code: "ESERVFAIL" }, 0);
    const known = (nowMs: number): string => ["a", "b", "c"].filter((key) => cache.get(key, nowMs) !== null).join("");
    assert.deepEqual(
      [known(9), known(10), known(99), known(100), known(999), known(1000)],
      ["abc", "ab", "ab", "a", "a", ""],
    );
    assert.deepEqual([cache.size, cache.bytes], [0, 0]);
  });

  test("forgets the least recently used first, by count and by bytes", () => {
    const cache = new DnsCache(options);
    for (const key of ["a", "b", "c"]) cache.set(key, records(500), 0);
    cache.get("a", 1);
    cache.set("d", records(500), 1);
    assert.deepEqual(
      ["a", "b", "c", "d"].filter((key) => cache.get(key, 2) !== null),
      ["a", "c", "d"],
    );
    cache.set("big", records(500, "x".repeat(700)), 2);
    assert.ok(cache.bytes <= 2000);
    assert.notEqual(cache.get("big", 3), null);
    cache.set("too big", records(500, "x".repeat(2000)), 3);
    assert.equal(cache.get("too big", 3), null);
  });
});

test("a watch asks for itself before it calls the servers away", async () => {
  const looks: PromiseWithResolvers<boolean>[] = [];
  const watch = new ServerWatch(() => {
    const look = Promise.withResolvers<boolean>();
    looks.push(look);
    return look.promise;
  });
  const settle = async (isThere: boolean): Promise<void> => {
    looks.at(-1)?.resolve(isThere);
    await delay(0);
  };
  for (let i = 0; i < 6; i++) watch.note(false, performance.now());
  assert.deepEqual([looks.length, watch.isAway(performance.now())], [1, false]);
  await settle(true);
  for (let i = 0; i < 6; i++) watch.note(false, performance.now());
  assert.equal(looks.length, 2);
  await settle(false);
  assert.equal(watch.isAway(performance.now()), true);
  assert.equal(watch.isAway(performance.now() + 60_000), true);
  assert.equal(looks.length, 3);
  watch.note(true, performance.now());
  assert.equal(watch.isAway(performance.now()), false);
});
