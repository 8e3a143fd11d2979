import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { SeedMailboxes, SeedMailList, SeedPush } from "@catmails/client";
import { FeedSocket } from "./faults/feed-socket.ts";
import { settleResidents, type Resident } from "./faults/household.ts";
import { leakyStore, type Leak } from "./faults/leaky-store.ts";
import { SmtpLink } from "./faults/smtp-link.ts";
import {
  attempts,
  disguises,
  findLeaks,
  findTellTales,
  wildcards,
  type Doors,
  type Intruder,
} from "./faults/trespass.ts";
import { callApi } from "./support/api-client.ts";
import { CommandLine } from "./support/command-line.ts";
import { House } from "./support/house.ts";
import { newMailbox } from "./support/new-mailbox.ts";
import { ServiceProcess } from "./support/service-process.ts";

const domain = "mails.localhost";

describe("two users of one server", () => {
  let shell: CommandLine;
  let service: ServiceProcess;
  let ann: Resident;
  let bob: Resident;

  before(async () => {
    shell = new CommandLine();
    const [first] = await settleResidents(shell.dataDir, ["ann"]);
    assert.ok(first);
    ann = first;
    // A chosen name is free again at once, so that giving up and taking needs no month.
    service = await ServiceProcess.start({ dataDir: shell.dataDir, env: { CATMAILS_TEMP_NAME_RESERVED: "0" } });
    const { key } = await shell.json<{ key: string }>(["user", "add", `bob@${domain}`, "--data-dir", shell.dataDir]);
    bob = { address: `bob@${domain}`, key, addresses: [`bob@${domain}`] };
  });
  after(async () => {
    await service[Symbol.asyncDispose]();
    await shell[Symbol.asyncDispose]();
  });

  const send = async (to: string, subject: string): Promise<string> => {
    using link = await SmtpLink.open(service.report.smtp.port);
    const wire = Buffer.from(`Subject: ${subject}\r\n\r\nBody of ${subject}\r\n`);
    return await link.deliver({ envelopeFrom: "sender@example.org", recipients: [to], wire });
  };
  const list = async (who: Resident, mail: string, query: Record<string, string> = {}): Promise<string[]> => {
    const answer = await callApi(origin(service), { mail, ...query }, { key: who.key });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return (answer.body as SeedMailList).data.map(({ subject }) => subject);
  };
  const isRefused = async (who: Resident, mail: string): Promise<boolean> => {
    const { status, body } = await callApi(origin(service), { mail }, { key: who.key });
    return status === 403 && (body as { error: string }).error === "Mailbox scope is invalid";
  };
  const createTemp = async (who: Resident, name?: string): Promise<{ status: number; mail: string }> => {
    const query = { action: "create_temp_mailbox", domain: `temp.${domain}`, ...(name === undefined ? {} : { name }) };
    const { status, body } = await callApi(origin(service), query, { method: "POST", key: who.key });
    return { status, mail: (body as { mail?: string }).mail ?? "" };
  };
  const deleteTemp = async (who: Resident, mail: string): Promise<number> =>
    (await callApi(origin(service), { action: "delete_temp_mailbox", mail }, { method: "POST", key: who.key })).status;

  test("nothing of one is visible to the other, and foreign looks like absent", async (t) => {
    const { mail: temp } = await createTemp(ann);
    const targets = [...ann.addresses, temp];
    for (const address of [...targets, ann.address.replace("@", "+tag@")]) await send(address, "for-ann-only");
    await send(bob.address, "for-bob-only");
    const intruder: Intruder = { key: bob.key, address: bob.address, lastSubject: "for-bob-only" };
    const tried = attempts(doorsOf(service), intruder);
    const before = await estate(service, ann);
    const secrets = ["for-ann-only", ann.key, ...targets];
    const asked = [...targets.flatMap(disguises), ...wildcards];
    assert.deepEqual(await findLeaks(tried, asked, secrets), []);
    const pairs = targets.map((foreign) => ({ foreign, absent: foreign.replace(/^../, "zz") }));
    assert.deepEqual(await findTellTales(tried, pairs), []);
    assert.deepEqual(await estate(service, ann), before, "the intruder changed something");
    for (const path of ["/metrics", "/livez", "/readyz", "/"]) {
      const text = await (await fetch(new URL(path, service.report.http))).text();
      assert.deepEqual(
        [...secrets, bob.key].filter((secret) => text.includes(secret)),
        [],
        path,
      );
    }
    t.diagnostic(`${tried.length} kinds of request, ${asked.length} spellings of ${targets.length} addresses`);
  });

  test("a key limited to one mailbox sees as little of its user's others", async () => {
    const { mail: shown } = await createTemp(ann);
    const flags = ["--user", ann.address, "--mailbox", shown, "--data-dir", shell.dataDir];
    const { key } = await shell.json<{ key: string }>(["key", "add", ...flags]);
    await send(ann.address, "for-the-whole-key-only");
    await send(shown, "for-the-limited-key");
    const tried = attempts(doorsOf(service), { key, address: shown, lastSubject: "for-the-limited-key" });
    assert.deepEqual(await findLeaks(tried, [...ann.addresses, "*"], ["for-the-whole-key-only"]), []);
    const absent = ann.address.replace(/^../, "zz");
    assert.deepEqual(await findTellTales(tried, [{ foreign: ann.address, absent }]), []);
  });

  test("new mail of one neither reaches nor wakes the other", async () => {
    const { http, websocket } = service.report;
    const pushed: SeedPush[] = [];
    const complete = Promise.withResolvers<void>();
    const onMail = (push: SeedPush): void => {
      pushed.push(push);
      if (push.subject === "bob-live") complete.resolve();
    };
    using socket = new FeedSocket({ websocket, query: { key: bob.key }, onMail });
    await socket.opened;
    const [last] = ((await (await fetch(`${http}?mail=${bob.address}&key=${bob.key}`)).json()) as SeedMailList).data;
    const waiting = list(bob, bob.address, { wait: "30", since: String(last?.id ?? 0) });
    for (const address of ann.addresses) await send(address, "ann-live");
    await send(bob.address, "bob-live");
    await complete.promise;
    assert.deepEqual(
      pushed.map(({ subject }) => subject),
      ["bob-live"],
    );
    assert.deepEqual(await waiting, ["bob-live"]);
  });

  test("a chosen temp name that was given up and taken never shows old mail", async () => {
    const { status, mail: shop } = await createTemp(ann, "shop");
    assert.equal(status, 200);
    await send(shop, "old-of-ann");
    const old = follow(service, { key: ann.key, mail: shop, since: "0" });
    await old.opened;
    assert.equal((await createTemp(bob, "shop")).status, 409);
    assert.equal(await deleteTemp(ann, shop), 200);
    assert.equal((await old.ended).code, 4403);
    assert.equal((await createTemp(bob, "shop")).status, 200);
    await expectOnlyNewMail(shop);
  });

  test("an alias that the operator took and gave to the other never shows old mail", async () => {
    const promo = `promo@${domain}`;
    const alias = (...args: string[]): ReturnType<CommandLine["run"]> =>
      shell.run(["alias", ...args, "--data-dir", shell.dataDir]);
    assert.equal((await alias("add", promo, "--user", ann.address)).code, 0);
    assert.match(await send(promo, "old-of-ann"), /^250 /);
    assert.deepEqual(await list(ann, promo), ["old-of-ann"]);
    // Accepted for the old owner; its content comes once the address is somebody else's.
    using link = await SmtpLink.open(service.report.smtp.port);
    await link.command("MAIL FROM:<sender@example.org>");
    assert.match(await link.command(`RCPT TO:<${promo}>`), /^250 /);
    assert.equal((await alias("remove", promo)).code, 0);
    assert.equal((await alias("add", promo, "--user", bob.address)).code, 1, "a reserved address was given away");
    assert.equal((await alias("add", promo, "--user", bob.address, "--take-reserved")).code, 0);
    assert.match(await link.command("DATA"), /^354 /);
    assert.match(await link.command("Subject: late-for-ann\r\n\r\nlate\r\n."), /^550 5\.1\.1 /);
    await expectOnlyNewMail(promo);
  });

  /** The address is bob's now and was ann's. */
  async function expectOnlyNewMail(address: string): Promise<void> {
    const everything = { before: "9007199254740991", limit: "200" };
    assert.deepEqual(await list(bob, address), []);
    assert.deepEqual(await list(bob, address, { since: "0" }), []);
    assert.deepEqual(await list(bob, address, everything), []);
    assert.ok(await isRefused(ann, address), "the old owner still has the address");
    assert.match(await send(address, "new-for-bob"), /^250 /);
    assert.deepEqual(await list(bob, address, { since: "0" }), ["new-for-bob"]);
    assert.deepEqual(await list(bob, address, everything), ["new-for-bob"]);
    const replayed = await replayOf(service, { key: bob.key, mail: address, since: "0" }, "new-for-bob");
    assert.deepEqual(replayed, ["new-for-bob"]);
    // The old owner's whole feed, resumed from the beginning, has neither.
    await send(ann.address, `end-of-${address}`);
    const feed = await replayOf(service, { key: ann.key, since: "0" }, `end-of-${address}`);
    assert.deepEqual(
      feed.filter((subject) => /^(?:old-of-ann|new-for-bob)$/.test(subject)),
      [],
    );
    assert.equal((await follow(service, { key: ann.key, mail: address, since: "0" }).ended).code, 4403);
  }
});

describe("a store without one of its walls is noticed", () => {
  const leaks: readonly (Leak | null)[] = [null, "lists", "details", "routes", "deletes", "mailboxes"];
  for (const leak of leaks) {
    test(leak ?? "but not a whole one", async () => {
      let intruderId = 0;
      await using house = await House.open({
        wrapStore: (store) => (leak === null ? store : leakyStore(store, leak, () => intruderId)),
      });
      const ann = await house.addPerson("ann");
      const bob = await house.addPerson("bob");
      intruderId = bob.userId;
      const temp = await house.store.createMailbox(
        newMailbox({ userId: ann.userId, address: "temporary@temp.mails.test", kind: "temp" }),
      );
      await house.put(ann, { subject: "for-ann-only" });
      await house.put(temp, { subject: "for-ann-only" });
      await house.put(bob, { subject: "for-bob-only" });
      const doors = { http: `${house.origin}/api`, websocket: `${house.origin.replace("http", "ws")}/` };
      const tried = attempts(doors, { key: bob.key, address: bob.address, lastSubject: "for-bob-only" });
      const targets = [ann.address, temp.address];
      const secrets = ["for-ann-only", ...targets];
      const found = [
        ...(await findLeaks(tried, targets, secrets)),
        ...(await findTellTales(tried, [{ foreign: ann.address, absent: "zzz@mails.test" }])),
        ...((await house.store.findMailbox(temp.address, Date.now())) === null ? ["a mailbox was deleted"] : []),
      ];
      assert.equal(found.length > 0, leak !== null, found[0]);
    });
  }
});

function origin(service: ServiceProcess): string {
  return new URL(service.report.http).origin;
}

function doorsOf(service: ServiceProcess): Doors {
  return service.report;
}

/** What somebody owns, as they see it. */
async function estate(service: ServiceProcess, { key }: Resident): Promise<unknown> {
  const { body } = await callApi(origin(service), { action: "mailboxes" }, { key });
  const { address } = body as SeedMailboxes;
  const mails = await callApi(origin(service), { mail: address, limit: "200" }, { key });
  return { address, mails: mails.body };
}

function follow(service: ServiceProcess, query: Record<string, string>): FeedSocket {
  return new FeedSocket({ websocket: service.report.websocket, query, onMail: () => undefined });
}

/** Subjects that a socket replays, up to this one. */
async function replayOf(service: ServiceProcess, query: Record<string, string>, last: string): Promise<string[]> {
  const subjects: string[] = [];
  const complete = Promise.withResolvers<void>();
  const onMail = ({ subject }: SeedPush): void => {
    subjects.push(subject);
    if (subject === last) complete.resolve();
  };
  using socket = new FeedSocket({ websocket: service.report.websocket, query, onMail });
  await Promise.race([complete.promise, socket.ended]);
  return subjects;
}
