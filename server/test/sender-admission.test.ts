import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { parseAddress, type Address } from "../src/address.ts";
import { Admission } from "../src/mail/admission.ts";
import { Greylist } from "../src/mail/greylist.ts";
import { SenderPolicies } from "../src/mail/sender-policy.ts";
import { isPublicAddress, NetworkSet, parseNetwork } from "../src/network.ts";
import type { Envelope } from "../src/origin.ts";
import type { RuleAction, RuleKind } from "../src/store/store.ts";
import { House } from "./support/house.ts";
import { silentLog } from "./support/silent-log.ts";
import { until } from "./support/until.ts";

const publicIp = "203.0.113.7";

function envelope(from: string, ip: string | null = publicIp): Envelope {
  const origin = ip === null ? null : { ip, helo: "client.example", transmission: "ESMTP" as const };
  return { from, sizeBytes: 0, origin };
}

function addressOf(text: string): Address {
  const address = parseAddress(text);
  assert.ok(address);
  return address;
}

const to = addressOf("you@mails.test");
const greylistOptions = { delayMs: 300_000, windowMs: 86_400_000, lifetimeMs: 10 * 86_400_000 };
const noGreylist = new Greylist({ ...greylistOptions, delayMs: 0 });

describe("networks", () => {
  test("are read in canonical form, and nothing else is one", () => {
    const texts = ["192.0.2.7", "192.0.2.7/24", "2001:DB8::1/32", "::ffff:1.2.3.4", "::ffff:1.2.3.4/120", "::/0"];
    assert.deepEqual(texts.map(parseNetwork), [
      "192.0.2.7/32",
      "192.0.2.0/24",
      "2001:db8::/32",
      "1.2.3.4/32",
      "1.2.3.0/24",
      "::/0",
    ]);
    const others = [
      "",
      "x",
      "1.2.3",
      "1.2.3.4/33",
      "1.2.3.4/x",
      "1.2.3.4/8/8",
      "fe80::1%lo",
      "::ffff:1.2.3.4/90",
      "0x7f.1",
    ];
    assert.deepEqual(
      others.filter((text) => parseNetwork(text) !== null),
      [],
    );
  });

  test("hold what is in them", () => {
    const set = new NetworkSet(["192.0.2.0/24", "198.51.100.1/32", "2001:db8::/33"]);
    const inside = ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9", "198.51.100.1", "2001:db8:7fff::1"];
    const outside = ["192.0.3.0", "198.51.100.2", "2001:db8:8000::1", "::1", "x"];
    assert.deepEqual(
      [...inside, ...outside].filter((ip) => set.has(ip)),
      inside,
    );
  });

  test("of the open internet are told from those that are not", () => {
    const tunnelled = ["2002:808:808::1", "2001:0:808:808::1"];
    const open = ["8.8.8.8", "2a00:1450::1", "::ffff:8.8.8.8", publicIp, ...tunnelled];
    const closed = [
      "127.0.0.1",
      "::1",
      "10.1.2.3",
      "192.168.0.1",
      "169.254.1.1",
      "100.64.0.1",
      "fe80::1",
      "fd00::1",
      "x",
    ];
    assert.deepEqual([...open, ...closed].filter(isPublicAddress), open);
  });
});

describe("the operator's lists", () => {
  let house: House;
  let policies: SenderPolicies;
  before(async () => {
    house = await House.open();
    policies = await SenderPolicies.open(house.store, silentLog());
  });
  after(async () => {
    await policies[Symbol.asyncDispose]();
    await house[Symbol.asyncDispose]();
  });
  const add = (action: RuleAction, kind: RuleKind, value: string): Promise<unknown> =>
    house.store.addSenderRule({ action, kind, value, nowMs: Date.now() });

  test("block addresses, domains with their subdomains, and networks; allowing beats blocking", async () => {
    await add("block", "address", "bad@one.example");
    await add("block", "domain", "two.example");
    await add("block", "network", "198.51.100.0/24");
    await add("allow", "address", "good@two.example");
    await add("allow", "network", "198.51.100.9/32");
    await until("the lists are known", () => policies.standingOf(envelope("bad@one.example")) === "blocked");
    const standings = [
      envelope("bad@one.example"),
      envelope("other@one.example"),
      envelope("a@two.example"),
      envelope("a@deep.sub.two.example"),
      envelope("a@nottwo.example"),
      envelope("good@two.example"),
      envelope("a@free.example", "198.51.100.7"),
      envelope("", "198.51.100.7"),
      envelope("a@two.example", "198.51.100.9"),
      envelope("a@two.example", null),
    ].map((one) => policies.standingOf(one));
    const [b, u, a] = ["blocked", "unlisted", "allowed"];
    assert.deepEqual(standings, [b, u, b, b, u, a, b, b, a, u]);
  });

  test("count within a second, and no longer within a second", async () => {
    await add("block", "domain", "soon.example");
    const isBlocked = (): boolean => policies.standingOf(envelope("a@soon.example")) === "blocked";
    await until("it is blocked", isBlocked);
    assert.equal(await house.store.removeSenderRule({ action: "block", value: "soon.example" }), true);
    await until("it is free again", () => !isBlocked());
  });

  test("and domains say what they do with forged mail", async () => {
    assert.equal(policies.dmarcOf("you@mails.test"), "accept");
    await house.store.updateDomain({ name: "mails.test", dmarc: "refuse" });
    await until("it refuses", () => policies.dmarcOf("you+tag@mails.test") === "refuse");
    assert.equal(policies.dmarcOf("you@temp.mails.test"), "accept");
    await house.store.updateDomain({ name: "mails.test", dmarc: "accept" });
    await until("it accepts", () => policies.dmarcOf("you@mails.test") === "accept");
  });
});

describe("greylisting", () => {
  const mail = { ip: publicIp, from: "a@one.example", to: "you@mails.test" };
  const minute = 60_000;

  test("puts a sender off until it comes back after the delay, then knows it", () => {
    const list = new Greylist(greylistOptions);
    const tries = [0, 1, 4.9, 5, 6, 6 + 10 * 1440].map((at) => list.putsOff(mail, at * minute));
    assert.deepEqual(tries, [true, true, true, false, false, false]);
    assert.equal(list.putsOff(mail, (6 + 10 * 1440 + 10 * 1440 + 1) * minute), true, "silent for too long");
  });

  test("a first try counts for so long only", () => {
    const list = new Greylist(greylistOptions);
    assert.equal(list.putsOff(mail, 0), true);
    assert.equal(list.putsOff(mail, 1441 * minute), true);
    assert.equal(list.putsOff(mail, 1446 * minute), false);
  });

  test("sees one sender in a network, and another with each address", () => {
    const list = new Greylist(greylistOptions);
    list.putsOff(mail, 0);
    const later = 10 * minute;
    assert.equal(list.putsOff({ ...mail, ip: "203.0.113.200" }, later), false);
    for (const other of [{ ip: "203.0.112.7" }, { from: "b@one.example" }, { to: "me@mails.test" }]) {
      assert.equal(list.putsOff({ ...mail, ...other }, later), true);
    }
  });

  test("remembers so many senders and no more, those that were seen last", () => {
    const list = new Greylist({ ...greylistOptions, maxSenders: 100 });
    for (let i = 0; i < 1000; i++) list.putsOff({ ...mail, from: `${i}@one.example` }, i);
    assert.equal(list.size, 100);
    assert.equal(list.putsOff({ ...mail, from: "999@one.example" }, 6 * minute), false);
    assert.equal(list.putsOff({ ...mail, from: "1@one.example" }, 6 * minute), true);
  });
});

describe("admission", () => {
  const unlisted = { standingOf: () => "unlisted" as const };
  const allowed = { standingOf: () => "allowed" as const };
  const listing = { isListed: (ip: string) => Promise.resolve(ip === publicIp) };

  test("objects to listed clients and puts off unknown ones, but not the operator's friends", async () => {
    const listed = new Admission({ policies: unlisted, greylist: noGreylist, blockLists: listing });
    assert.equal(await listed.objection(envelope("a@one.example"), to), "listed");
    assert.equal(await listed.objection(envelope("a@one.example", "203.0.113.8"), to), null);
    const grey = new Admission({ policies: unlisted, greylist: new Greylist(greylistOptions), blockLists: null });
    assert.equal(await grey.objection(envelope("a@one.example"), to), "greylisted");
    const friends = new Admission({
      policies: allowed,
      greylist: new Greylist(greylistOptions),
      blockLists: listing,
    });
    assert.equal(friends.objection(envelope("a@one.example"), to), null);
  });

  test("asks nobody about this machine, private networks and programs that hand mail over", () => {
    const asked: string[] = [];
    const admission = new Admission({
      policies: unlisted,
      greylist: new Greylist(greylistOptions),
      blockLists: { isListed: (ip) => Promise.resolve(asked.push(ip) > 0) },
    });
    for (const ip of ["127.0.0.1", "::1", "10.0.0.1", null]) {
      assert.equal(admission.objection(envelope("a@one.example", ip), to), null);
    }
    admission.expect({ ip: "127.0.0.1", helo: "", transmission: "SMTP" });
    assert.deepEqual(asked, []);
  });

  test("asks about a client once, from the moment it says hello", async () => {
    const asked: string[] = [];
    const blockLists = { isListed: (ip: string) => Promise.resolve(asked.push(ip) < 0) };
    const admission = new Admission({ policies: unlisted, greylist: noGreylist, blockLists });
    admission.expect({ ip: publicIp, helo: "client.example", transmission: "ESMTP" });
    assert.deepEqual(asked, [publicIp]);
    for (let i = 0; i < 5; i++) assert.equal(await admission.objection(envelope(`${i}@one.example`), to), null);
    assert.deepEqual(asked, [publicIp]);
  });
});
