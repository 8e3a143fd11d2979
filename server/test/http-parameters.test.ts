import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callApi, listMails } from "./support/api-client.ts";
import { domain, House, tempDomain, type Person } from "./support/house.ts";

const form = "application/x-www-form-urlencoded";
const json = "application/json";

describe("parameters come from where they are sent", () => {
  let house: House;
  let demo: Person;
  let hello: { userId: number; mailboxId: number; address: string };
  before(async () => {
    house = await House.open();
    demo = await house.addPerson("demo");
    const alias = await house.addAlias(demo, `hello@${domain}`);
    hello = { userId: demo.userId, mailboxId: alias.id, address: alias.address };
    await house.put(demo, { subject: "for demo" });
    await house.put(hello, { subject: "for hello" });
  });
  after(() => house[Symbol.asyncDispose]());

  async function subjects(query: Record<string, string> | string, init: RequestInit & { key?: string } = {}) {
    const { status, body } = await callApi(house.origin, query, init);
    assert.equal(status, 200, JSON.stringify(body));
    return (body as { data: { subject: string }[] }).data.map(({ subject }) => subject);
  }

  const post = (body: RequestInit["body"], type?: string): RequestInit => ({
    method: "POST",
    ...(body === undefined ? {} : { body }),
    ...(type === undefined ? {} : { headers: { "content-type": type } }),
  });

  test("a body may be a form, JSON or multipart, and holds the key as well", async () => {
    const { address, key } = demo;
    assert.deepEqual(await subjects("", post(new URLSearchParams({ mail: address, key }))), ["for demo"]);
    assert.deepEqual(await subjects("", post(JSON.stringify({ mail: address, key }), json)), ["for demo"]);
    assert.deepEqual(await subjects("", post(JSON.stringify({ mail: address, key }), `${json}; charset=utf-8`)), [
      "for demo",
    ]);
    const parts = new FormData();
    parts.set("mail", address);
    parts.set("key", key);
    assert.deepEqual(await subjects("", post(parts)), ["for demo"]);
  });

  test("a body without a type is a form", async () => {
    const body = new TextEncoder().encode(`mail=${demo.address}`);
    assert.deepEqual(await subjects("", { ...post(body), key: demo.key }), ["for demo"]);
  });

  test("an empty body of whatever type is no parameters", async () => {
    for (const type of [undefined, form, json, "application/xml", "multipart/form-data; boundary=x"]) {
      const query = { mail: demo.address, key: demo.key };
      assert.deepEqual(await subjects(query, post(undefined, type)), ["for demo"], type);
    }
  });

  test("query beats body, name by name", async () => {
    const body = new URLSearchParams({ mail: hello.address, limit: "not read" });
    const query = { mail: demo.address, limit: "1" };
    assert.deepEqual(await subjects(query, { ...post(body), key: demo.key }), ["for demo"]);
    assert.deepEqual(await subjects({ limit: "1", key: demo.key }, post(body)), ["for hello"]);
  });

  test("a Bearer header beats the parameter, the other way about as well", async () => {
    const query = { mail: demo.address, key: "mk_wrong" };
    assert.deepEqual(await subjects(query, { key: demo.key }), ["for demo"]);
    const { status, body } = await callApi(house.origin, { ...query, key: demo.key }, { key: "mk_wrong" });
    assert.deepEqual([status, (body as { error: string }).error], [401, "Invalid API key"]);
  });

  test("a header that is no Bearer header leaves the parameter", async () => {
    const query = { mail: demo.address, key: demo.key };
    assert.deepEqual(await subjects(query, { headers: { authorization: "Basic bWs6bWs=" } }), ["for demo"]);
    assert.deepEqual(await subjects(query, { headers: { authorization: "Bearer" } }), ["for demo"]);
    const { key, ...bare } = query;
    assert.deepEqual(await subjects(bare, { headers: { authorization: `bearer  ${key}` } }), ["for demo"]);
  });

  test("mail takes several addresses: repeated, comma separated, a list in JSON", async () => {
    const both = ["for hello", "for demo"];
    const { address, key } = demo;
    assert.deepEqual(await subjects({ mail: `${address}, ${hello.address},`, key }), both);
    assert.deepEqual(await subjects(`mail=${address}&mail=${hello.address}&key=${key}`), both);
    assert.deepEqual(
      await subjects("", { ...post(JSON.stringify({ mail: [address, hello.address] }), json), key }),
      both,
    );
    assert.deepEqual(await subjects("", { ...post(`mail=${address}&mail=${hello.address}`, form), key }), both);
    assert.deepEqual(await subjects({ mail: `${address},${address}`, key }), ["for demo"]);
  });

  test("one address out of scope refuses them all", async () => {
    const { status } = await callApi(house.origin, { mail: `${demo.address},absent@${domain}`, key: demo.key });
    assert.equal(status, 403);
  });

  test("action=getmails, type=getmails and neither are the same call", async () => {
    for (const words of [
      {},
      { action: "getmails" },
      { type: "getmails" },
      { action: "getmails", type: "getmails" },
      { action: "", type: "" },
    ]) {
      assert.deepEqual(await subjects({ ...words, mail: demo.address, key: demo.key }), ["for demo"]);
    }
  });

  test("limit counts mails from 1 and means at most 200", async () => {
    const query = { mail: `${demo.address},${hello.address}`, key: demo.key };
    assert.deepEqual(await subjects({ ...query, limit: "1" }), ["for hello"]);
    assert.equal((await subjects({ ...query, limit: "100000" })).length, 2);
  });

  const misfits: [string, string[]][] = [
    ["limit", ["0", "-1", "1.5", "many", "1e2", " 1", "9007199254740993"]],
    ["since", ["-1", "1.5", "x", "0x10", "99999999999999999999"]],
    ["before", ["-1", "NaN", "latest"]],
    ["wait", ["-1", "NaN", "Infinity", "1e1", "soon", "."]],
  ];
  for (const [name, values] of misfits) {
    for (const value of values) {
      test(`${name}=${value} is refused by name`, async () => {
        const { status, body } = await callApi(house.origin, { mail: demo.address, key: demo.key, [name]: value });
        const { error, code } = body as { error: string; code: string };
        assert.deepEqual([status, code], [400, "invalid_parameter"]);
        assert.match(error, new RegExp(`^Invalid parameter: ${name} `));
      });
    }
  }

  test("a value that is empty was not given", async () => {
    const query = { mail: demo.address, key: demo.key, limit: "", since: "", before: "", wait: "" };
    assert.deepEqual(await subjects(query), ["for demo"]);
  });

  const refused: [string, string, RequestInit?][] = [
    ["a nested name", "mail[]=a@b"],
    ["a parameter given twice", "limit=1&limit=2"],
    ["a key given twice", "key=mk_a&key=mk_b"],
    ["malformed percent-encoding", "mail=%zz"],
    ["a query that is not UTF-8", "mail=%ff"],
    ["201 parameters", "mail=a&".repeat(201).slice(0, -1)],
    ["101 addresses", `mail=${"a@b,".repeat(101)}`],
    ["an object in JSON", "", post('{"mail":{"a":1}}', json)],
    ["a list in JSON that is not mail", "", post('{"limit":[1]}', json)],
    ["true in JSON", "", post('{"wait":true}', json)],
    ["a list of numbers and nulls", "", post('{"mail":[null]}', json)],
    ["half a surrogate pair in JSON", "", post('{"mail":"\\ud800@b.example"}', json)],
  ];
  for (const [what, query, init] of refused) {
    test(`${what} is an invalid parameter`, async () => {
      const { status, body } = await callApi(house.origin, query, { key: demo.key, ...init });
      assert.deepEqual([status, (body as { code: string }).code], [400, "invalid_parameter"]);
    });
  }

  const parts = new FormData();
  parts.set("mail", new Blob(["demo"]), "mail.txt");
  test("a file in multipart is an invalid parameter", async () => {
    const { status, body } = await callApi(house.origin, "", { key: demo.key, ...post(parts) });
    assert.deepEqual([status, (body as { code: string }).code], [400, "invalid_parameter"]);
  });

  const invalid: [string, RequestInit][] = [
    ["a list", post("[]", json)],
    ["a text", post('"mail"', json)],
    ["null", post("null", json)],
    ["bytes that are no UTF-8", post(new Uint8Array([0x22, 0xff, 0x22]), json)],
    [
      "multipart without its end",
      post("--x\r\nContent-Disposition: form-data; name=mail\r\n\r\ndemo", "multipart/form-data; boundary=x"),
    ],
    ["multipart without a boundary", post("--x--\r\n", "multipart/form-data")],
  ];
  for (const [what, init] of invalid) {
    test(`${what} is an invalid body`, async () => {
      const { status, body } = await callApi(house.origin, "", { key: demo.key, ...init });
      assert.deepEqual([status, (body as { code: string }).code], [400, "invalid_body"]);
    });
  }

  test("a body in another coding is refused", async () => {
    const headers = { "content-encoding": "gzip", "content-type": form };
    const { status } = await callApi(house.origin, "", { method: "POST", body: "mail=x", headers, key: demo.key });
    assert.equal(status, 415);
  });

  test("numbers in JSON are read as texts are", async () => {
    const body = JSON.stringify({ mail: demo.address, limit: 1, since: 0, wait: 0.5 });
    assert.deepEqual(await subjects("", { ...post(body, json), key: demo.key }), ["for demo"]);
  });

  test("a temp mailbox takes a name, a domain and a lifetime", async () => {
    const query = { action: "create_temp_mailbox", name: "Sign-Up", domain: tempDomain.toUpperCase(), ttl: "60" };
    const beforeMs = Date.now();
    const { body } = await callApi(house.origin, query, { method: "POST", key: demo.key });
    assert.deepEqual(body, { success: true, mail: `sign-up@${tempDomain}` });
    const mailbox = await house.store.findMailbox(`sign-up@${tempDomain}`, Date.now());
    const expiresAtMs = mailbox?.expiresAtMs ?? 0;
    assert.ok(expiresAtMs >= beforeMs + 60_000 && expiresAtMs <= Date.now() + 60_000);
  });

  for (const name of [
    '"a,b"',
    '"x,demo@mails.test,y"',
    '"a b"',
    "a+b",
    "de\u202emo",
    "demo\u200d",
    "post\u00admaster",
  ]) {
    test(`a temp mailbox has a name that cannot be taken for anything else: ${JSON.stringify(name)} is refused`, async () => {
      const query = { action: "create_temp_mailbox", name };
      const { status, body } = await callApi(house.origin, query, { method: "POST", key: demo.key });
      assert.equal(status, 400, JSON.stringify(body));
      assert.equal((body as { code: string }).code, "invalid_parameter");
    });
  }

  test("a comma inside a quoted local part separates nothing", async () => {
    const odd = await house.addAlias(demo, `"odd, \\"one"@${domain}`);
    await house.put({ ...odd, mailboxId: odd.id }, { subject: "for the odd one" });
    assert.deepEqual(await subjects(new URLSearchParams({ mail: odd.address, key: demo.key }).toString()), [
      "for the odd one",
    ]);
    const both = new URLSearchParams({ mail: `${odd.address},${demo.address}`, limit: "1", key: demo.key });
    assert.deepEqual(await subjects(both.toString()), ["for the odd one"]);
    const unclosed = await callApi(house.origin, { mail: `"odd,${demo.address}`, key: demo.key });
    assert.equal(unclosed.status, 403);
  });

  test("a mailbox past its lifetime answers as if it had never been", async () => {
    await house.store.createMailbox({
      userId: demo.userId,
      address: `past@${tempDomain}`,
      kind: "temp",
      nowMs: Date.now() - 2000,
      expiresAtMs: Date.now() - 1000,
      random: false,
      forKeyId: null,
      maxTemp: 0,
      takeReserved: false,
    });
    const past = await callApi(house.origin, { mail: `past@${tempDomain}`, key: demo.key });
    const never = await callApi(house.origin, { mail: `never@${tempDomain}`, key: demo.key });
    assert.deepEqual([past.status, past.body], [never.status, never.body]);
  });

  test("HEAD answers the headers of GET and no body", async () => {
    const url = `${house.origin}/api?mail=${demo.address}&key=${demo.key}`;
    const get = await fetch(url);
    const head = await fetch(url, { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(head.headers.get("content-type"), get.headers.get("content-type"));
    assert.equal(head.headers.get("content-length"), String((await get.arrayBuffer()).byteLength));
    assert.equal(await head.text(), "");
  });

  test("a trailing slash makes no difference", async () => {
    const response = await fetch(`${house.origin}/api/?mail=${demo.address}&key=${demo.key}`);
    assert.equal(response.status, 200);
    await response.body?.cancel();
  });

  test("a plus that form decoding turned into a space is still a plus", async () => {
    const tagged = { ...demo, address: `demo+ci@${domain}` };
    await house.put(tagged, { subject: "for the tag" });
    assert.equal((await listMails(house.origin, { mail: `demo+ci@${domain}`, key: demo.key })).count, 1);
    assert.deepEqual(await subjects(`mail=demo+ci@${domain}&key=${demo.key}`), ["for the tag"]);
    assert.deepEqual(await subjects(`mail=demo%2Bci@${domain}&key=${demo.key}`), ["for the tag"]);
    assert.deepEqual(await subjects(`mail=demo%2Bother@${domain}&key=${demo.key}`), []);
  });
});
