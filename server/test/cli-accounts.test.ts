import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { hashKey } from "../src/mail/keys.ts";
import { openSqliteStore } from "../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../src/store/store.ts";
import { CommandLine, type CommandResult } from "./support/command-line.ts";

const key = /^mk_[0-9A-Za-z]{57}$/;
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** Commands in order on one data directory, which this process has open all the time, as a server would. */
describe("users, keys, aliases and domains at the command line", () => {
  let line: CommandLine;
  let store: Store;
  let alice: { address: string; key: string; public_id: string };

  const run = (args: string): Promise<CommandResult> => line.run(args.split(" "));
  const json = <T>(args: string): Promise<T> => line.json<T>(args.split(" "));
  const failing = async (args: string): Promise<string> => {
    const { code, stdout, stderr } = await run(args);
    assert.deepEqual([code, stdout], [1, ""], stderr);
    return stderr;
  };
  const works = async (secret: string): Promise<boolean> => (await store.findKey(hashKey(secret), Date.now())) !== null;

  before(async () => {
    line = new CommandLine();
  });
  after(async () => {
    await store?.[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
  });

  test("the first user add makes the data directory, and the key it prints works", async () => {
    alice = await json("user add Alice@mails.localhost");
    assert.equal(alice.address, "alice@mails.localhost");
    assert.match(alice.key, key);
    assert.equal(existsSync(line.dataDir), true);
    store = await openSqliteStore({ dataDir: line.dataDir });
    assert.equal(await works(alice.key), true);
  });

  test("an address of a domain that is not served names the command that helps, and then works", async () => {
    assert.equal(
      await failing("user add bob@mails.test"),
      "error: mails.test is not served here yet. First: catmails domain add mails.test\n",
    );
    assert.match((await run("domain add mails.test")).stdout, /^mails\.test is served now\./);
    const { code, stdout, stderr } = await run("user add bob@mails.test");
    assert.deepEqual([code, stderr], [0, ""]);
    const [shown = ""] = /mk_\w+/.exec(stdout) ?? [];
    assert.match(shown, key);
    assert.equal(stdout, `User     bob@mails.test\nAPI key  ${shown}\n         shown this once: keep it\n`);
  });

  test("an address that is taken is refused, whoever has it", async () => {
    assert.match(await failing("user add bob@mails.test"), /^error: bob@mails\.test: Address is already in use\.\n$/);
    assert.match(await failing("alias add bob@mails.test --user alice@mails.localhost"), /already in use/);
  });

  test("user list is a table for people and an array for programs", async () => {
    const { stdout } = await run("user list");
    const [head, first, second, end] = stdout.split("\n");
    assert.match(head ?? "", /^ADDRESS +MAILS +SIZE +CREATED$/);
    assert.match(first ?? "", /^alice@mails\.localhost +0 +0 B {2}\d{4}-/);
    assert.match(second ?? "", /^bob@mails\.test +0 +0 B {2}\d{4}-/);
    assert.equal(end, "");
    const users = await json<{ address: string; mails: number; bytes: number; created_at: string }[]>("user list");
    assert.deepEqual(
      users.map(({ address, mails, bytes }) => [address, mails, bytes]),
      [
        ["alice@mails.localhost", 0, 0],
        ["bob@mails.test", 0, 0],
      ],
    );
    assert.match(users[0]?.created_at ?? "", isoTime);
  });

  test("aliases are added, listed with their user, and removed; main mailboxes are not", async () => {
    await run("alias add shop@mails.test --user alice@mails.localhost");
    const rows = await json<{ address: string; kind: string; user: string; expires_at: null }[]>("alias list");
    assert.deepEqual(
      rows.map(({ address, kind, user, expires_at }) => [address, kind, user, expires_at]),
      [["shop@mails.test", "alias", "alice@mails.localhost", null]],
    );
    assert.deepEqual(await json("alias list --user bob@mails.test"), []);
    assert.match(await failing("alias remove bob@mails.test"), /main mailbox.*catmails user remove bob@mails\.test/);
    assert.match(
      await failing("alias add x@mails.test --user nobody@mails.test"),
      /There is no user nobody@mails\.test/,
    );
    assert.deepEqual(await json("alias remove shop@mails.test"), { removed: "shop@mails.test" });
    assert.match(await failing("alias remove shop@mails.test"), /There is no mailbox shop@mails\.test/);
  });

  test("a given-up address is reserved for its last owner until the operator says otherwise", async () => {
    assert.match(await failing("alias add shop@mails.test --user bob@mails.test"), /still reserved.*--take-reserved/);
    assert.deepEqual(await json("alias add shop@mails.test --user bob@mails.test --take-reserved"), {
      address: "shop@mails.test",
      user: "bob@mails.test",
    });
  });

  test("a limited key holds what it was given, and only mailboxes of its own user", async () => {
    const made = await json<{ key: string; public_id: string; expires_at: string }>(
      "key add --user bob@mails.test --mailbox shop@mails.test --mailbox bob@mails.test --read-only --expires 30d",
    );
    const found = await store.findKey(hashKey(made.key), Date.now());
    assert.equal(found?.readOnly, true);
    assert.equal(found?.mailboxIds?.length, 2);
    assert.ok(Math.abs((found?.expiresAtMs ?? 0) - Date.now() - 30 * 86_400_000) < 60_000);
    assert.match(made.expires_at, isoTime);
    assert.match(
      await failing("key add --user bob@mails.test --mailbox alice@mails.localhost"),
      /alice@mails\.localhost does not belong to bob@mails\.test/,
    );
  });

  test("key list shows public ids and states and no key, and a revoked key works no longer", async () => {
    const second = await json<{ key: string; public_id: string }>("key add --user alice@mails.localhost");
    const third = await json<{ key: string; public_id: string }>("key add --user alice@mails.localhost");
    assert.deepEqual(await json(`key revoke ${second.public_id}`), { revoked: second.public_id });
    const byKey = await run(`key revoke ${third.key}`);
    assert.equal(byKey.stdout, `Revoked ${third.public_id}.\n`);
    assert.deepEqual([await works(alice.key), await works(second.key), await works(third.key)], [true, false, false]);

    const again = await failing(`key revoke ${third.key}`);
    assert.match(again, /no such active key/);
    assert.doesNotMatch(again, /mk_/);

    const { stdout } = await run("key list --user alice@mails.localhost");
    assert.doesNotMatch(stdout, /mk_/);
    const rows = await json<{ public_id: string; state: string; mailboxes: string[] | null }[]>("key list");
    const states = new Map(rows.map(({ public_id, state }) => [public_id, state]));
    assert.equal(states.get(alice.public_id), "active");
    assert.equal(states.get(second.public_id), "revoked");
    const limited = rows.filter(({ mailboxes }) => mailboxes !== null);
    assert.equal(rows.length, 5);
    assert.deepEqual(
      limited.map(({ mailboxes }) => mailboxes),
      [["bob@mails.test", "shop@mails.test"]],
    );
  });

  test("a key for ingest says whom it reaches, and is nothing else", async () => {
    const add = "key add --user bob@mails.test --ingest";
    const own = await json<{ key: string; ingest: string; read_only: boolean }>(add);
    const limited = await json<{ key: string }>(`${add} --mailbox bob@mails.test`);
    const every = await json<{ key: string }>(`${add} --all-mailboxes`);
    const found = await Promise.all(
      [own, limited, every].map(async ({ key }) => await store.findKey(hashKey(key), Date.now())),
    );
    assert.deepEqual(
      found.map((key) => [key?.ingest, key?.mailboxIds?.length ?? null]),
      [
        ["own", null],
        ["own", 1],
        ["every", null],
      ],
    );
    assert.equal(own.ingest, "own");
    const list = (await run("key list --user bob@mails.test")).stdout;
    assert.match(list, / ingest +bob@mails\.test /);
    assert.match(list, / ingest +every user's /);
    assert.match(await failing("key add --user bob@mails.test --all-mailboxes"), /goes with --ingest/);
    for (const wrong of ["--read-only", "--all-mailboxes --mailbox bob@mails.test"]) {
      assert.equal((await run(`${add} ${wrong}`)).code, 2);
    }
  });

  test("a domain is added with a catch-all, changed, listed, and removed once it is empty", async () => {
    assert.match(await failing("domain add mails.test"), /mails\.test: Domain is already served here/);
    assert.match(await failing("domain add new.test --catch-all nobody@new.test"), /no mailbox nobody@new\.test/);
    assert.deepEqual(await json("domain add New.test --temp --catch-all bob@mails.test"), {
      name: "new.test",
      temp: true,
      catch_all: "bob@mails.test",
      dmarc: "accept",
    });
    const find = async (): Promise<unknown> => {
      const domains = await json<{ name: string; temp: boolean; catch_all: string | null }[]>("domain list");
      return domains.find(({ name }) => name === "new.test")?.catch_all;
    };
    assert.equal(await find(), "bob@mails.test");
    assert.match((await run("domain set new.test --no-catch-all")).stdout, /is refused/);
    assert.equal(await find(), null);
    assert.deepEqual(await json("domain set new.test --dmarc mark"), { name: "new.test", dmarc: "mark" });
    assert.match(await failing("domain set no.test --no-catch-all"), /no\.test is not served here/);
    assert.match(await failing("domain remove mails.test"), /still has mailboxes/);
    assert.deepEqual(await json("domain remove new.test"), { removed: "new.test" });
    assert.equal(await find(), undefined);
  });

  test("senders are blocked and allowed in canonical form, listed, and taken off", async () => {
    const values = { address: "Cat@Example.COM", domain: "B\u00fccher.example", network: "192.0.2.7/24" };
    const canonical = { address: "cat@example.com", domain: "xn--bcher-kva.example", network: "192.0.2.0/24" };
    for (const kind of ["address", "domain", "network"] as const) {
      const value = canonical[kind];
      assert.deepEqual(await json(`block add ${values[kind]}`), { action: "block", kind, value });
    }
    await json("allow add 2001:DB8::1");
    assert.match(await failing("block add cat@example.com"), /cat@example\.com: Value is already on this list/);
    const list = async (name: string): Promise<string[]> =>
      (await json<{ value: string }[]>(`${name} list`)).map(({ value }) => value);
    assert.deepEqual([await list("block"), await list("allow")], [Object.values(canonical), ["2001:db8::1/128"]]);
    assert.deepEqual(await json("block remove 192.0.2.0/24"), { removed: "192.0.2.0/24" });
    assert.match(await failing("allow remove cat@example.com"), /is not on the list/);
  });

  test("key add prints the key alone, for scripts", async () => {
    const { stdout, stderr } = await run("key add --user alice@mails.localhost");
    assert.match(stdout.replace(/\n$/, ""), key);
    assert.equal(await works(stdout.trim()), true);
    assert.ok(stderr.includes(`public id is ${stdout.slice(3, 11)}`) && !stderr.includes(stdout.trim()));
  });

  test("a removed user is gone with keys and mailboxes, and one with mails only by --force", async () => {
    const owner = await store.findUser("alice@mails.localhost");
    await store.commit({
      raw: new Uint8Array(Buffer.from("Subject: x\r\n\r\ny\r\n")),
      envelopeFrom: "",
      mailFrom: "cat@example.com",
      subject: "x",
      content: "y",
      receivedAtMs: Date.now(),
      defects: [],
      origin: null,
      recipients: [{ userId: owner?.id ?? 0, mailboxId: owner?.mailboxId ?? 0, mailTo: "alice@mails.localhost" }],
    });
    assert.match(await failing("user remove alice@mails.localhost"), /still has mails \(1\)\. Add --force/);
    assert.equal(await works(alice.key), true);
    assert.match((await run("user remove alice@mails.localhost --force")).stdout, /^Removed alice@mails\.localhost/);
    assert.equal(await works(alice.key), false);
    assert.match(await failing("mail list alice@mails.localhost"), /no mailbox for alice@mails\.localhost/);
    assert.match(await failing("user remove alice@mails.localhost"), /There is no user alice@mails\.localhost/);
  });
});
