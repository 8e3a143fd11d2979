import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { MailDetails } from "@catmails/client";
import { House, type Person } from "./support/house.ts";

describe("GET /v1/mails/{id}", () => {
  let house: House;
  let anna: Person;
  let bert: Person;
  before(async () => {
    house = await House.open();
    anna = await house.addPerson("anna");
    bert = await house.addPerson("bert");
    await house.put(anna, { subject: "Anna's first" });
    for (const subject of ["Bert's first", "Bert's second"]) await house.put(bert, { subject });
  });
  after(() => house[Symbol.asyncDispose]());

  /** Everything of an answer that a client could compare. */
  async function whole(id: string, key: string | null, init: RequestInit = {}) {
    const headers = key === null ? {} : { authorization: `Bearer ${key}` };
    const response = await fetch(`${house.origin}/v1/mails/${id}`, { ...init, headers });
    const rest = [...response.headers].filter(([name]) => name !== "date");
    return { status: response.status, headers: rest, text: await response.text() };
  }

  test("shows one's own mail, whose sender nobody has checked here", async () => {
    const { status, text } = await whole("1", bert.key);
    const mail = JSON.parse(text) as MailDetails;
    assert.deepEqual([status, mail.subject, mail.mail_to, mail.size], [200, "Bert's first", bert.address, 2]);
    assert.deepEqual([mail.client, mail.authentication.state], [null, "unchecked"]);
  });

  test("absent, foreign and out of scope answer alike, down to the headers", async () => {
    const absent = await whole("3", anna.key);
    assert.deepEqual(
      [absent.status, JSON.parse(absent.text)],
      [404, { success: false, error: "Not found", code: "not_found" }],
    );
    const alias = await house.addAlias(anna, "alias@mails.test");
    const limited = await house.addKey(anna, { mailboxIds: [alias.id] });
    assert.deepEqual(await whole("2", anna.key), absent, "Bert's");
    assert.deepEqual(await whole("1", limited.key), absent, "outside the scope");
    for (const id of ["0", "-1", "1e0", "x", "9999999999999999999", "1%27", "01x"]) {
      assert.deepEqual(await whole(id, anna.key), absent, id);
    }
  });

  test("needs a key, and says which kind is wrong", async () => {
    const texts = [await whole("1", null), await whole("1", "mk_nobodys"), await whole("1?key=mk_nobodys", null)];
    assert.deepEqual(
      texts.map(({ status, text }) => [status, (JSON.parse(text) as { error: string }).error]),
      [
        [401, "Missing key"],
        [401, "Invalid API key"],
        [401, "Invalid key"],
      ],
    );
  });

  test("is for pages of any origin, and for HEAD and OPTIONS", async () => {
    const got = await whole(`1?key=${anna.key}`, null);
    assert.ok(got.headers.some(([name, value]) => name === "access-control-allow-origin" && value === "*"));
    assert.ok(got.headers.some(([name, value]) => name === "cache-control" && value === "no-store"));
    assert.equal((await whole("1", anna.key, { method: "HEAD" })).status, 200);
    assert.equal((await whole("1", null, { method: "OPTIONS" })).status, 204);
  });
});
