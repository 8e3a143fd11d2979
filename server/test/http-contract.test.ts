import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callApi, type ApiAnswer } from "./support/api-client.ts";
import { domain, House, tempDomain, type Person } from "./support/house.ts";
import { SocketClient } from "./support/socket-client.ts";

const code = {
  from: "github@github.com",
  subject: "GitHub login code",
  content: "Your code is 482913",
  receivedAtMs: Date.UTC(2026, 2, 18, 12, 10, 0),
};

describe("the documented samples give the documented answers", () => {
  let house: House;
  let demo: Person;
  before(async () => {
    house = await House.open();
    demo = await house.addPerson("demo");
    await house.addAlias(demo, `hello@${domain}`);
  });
  after(() => house[Symbol.asyncDispose]());

  const listed = (id: number, mailTo: string): string =>
    JSON.stringify({
      success: true,
      count: 1,
      data: [
        {
          id,
          mail_from: "github@github.com",
          mail_to: mailTo,
          subject: "GitHub login code",
          content: "Your code is 482913",
          received_at: "2026-03-18 12:10:00",
        },
      ],
    });

  test("mail by GET with the key as a parameter, and the same by POST with a Bearer header", async () => {
    const id = await house.put(demo, code);
    const get = await fetch(`${house.origin}/api?type=getmails&mail=demo@${domain}&key=${demo.key}`);
    assert.equal(get.status, 200);
    assert.match(get.headers.get("content-type") ?? "", /^application\/json\b/);
    assert.equal(await get.text(), listed(id, demo.address));
    const post = await fetch(`${house.origin}/api`, {
      method: "POST",
      headers: { authorization: `Bearer ${demo.key}`, "content-type": "application/x-www-form-urlencoded" },
      body: `mail=demo@${domain}`,
    });
    assert.equal(await post.text(), listed(id, demo.address));
  });

  test("the mailboxes of a key", async () => {
    const { status, body } = await callApi(house.origin, { action: "mailboxes" }, { method: "POST", key: demo.key });
    assert.equal(status, 200);
    assert.deepEqual(body, { success: true, address: `demo@${domain},hello@${domain}` });
  });

  test("a temp mailbox is made, is an alias row that is temp, and is deleted", async () => {
    const post = { method: "POST", key: demo.key };
    const made = await callApi(house.origin, { action: "create_temp_mailbox" }, post);
    assert.equal(made.status, 200);
    const { success, mail, ...rest } = made.body as { success: boolean; mail: string };
    assert.deepEqual({ success, rest }, { success: true, rest: {} });
    assert.match(mail, new RegExp(`^tmp[0-9a-f]{8}@${tempDomain.replaceAll(".", "\\.")}$`));
    assert.equal((await house.store.findMailbox(mail, Date.now()))?.kind, "temp");
    const body = new URLSearchParams({ mail });
    const deleted = await callApi(house.origin, { action: "delete_temp_mailbox" }, { ...post, body });
    assert.deepEqual([deleted.status, deleted.body], [200, { success: true, message: "Temp mailbox deleted" }]);
    assert.equal(await house.store.findMailbox(mail, Date.now()), null);
  });

  test("a mail is pushed over WebSocket in the documented form", async () => {
    using socket = new SocketClient(house.origin, `key=${demo.key}&mail=demo@${domain}`);
    await socket.opened;
    const id = await house.put(demo, code);
    assert.equal(
      JSON.stringify(await socket.next()),
      JSON.stringify({
        from: "github@github.com",
        to: demo.address,
        subject: "GitHub login code",
        content: "Your code is 482913",
        received_at: "2026-03-18 12:10:00",
        id,
      }),
    );
  });
});

interface Row {
  what: string;
  ask(): Promise<ApiAnswer>;
  status: number;
  error: string;
  code: string;
  allow?: string;
}

describe("every documented error, for every call that can raise it", () => {
  let house: House;
  let demo: Person;
  let other: Person;
  let readOnly: string;
  let limited: string;
  let temp: string;
  before(async () => {
    house = await House.open({ maxBodyBytes: 4096, tempMaxMailboxes: 3, maxFollowersPerUser: 0 });
    demo = await house.addPerson("demo");
    other = await house.addPerson("other");
    const hello = await house.addAlias(demo, `hello@${domain}`);
    readOnly = (await house.addKey(demo, { readOnly: true })).key;
    limited = (await house.addKey(demo, { mailboxIds: [hello.id] })).key;
    temp = await makeTemp({});
    await makeTemp({ name: "taken" });
  });
  after(() => house[Symbol.asyncDispose]());

  async function makeTemp(query: Record<string, string>): Promise<string> {
    const { body } = await ask("POST", { action: "create_temp_mailbox", ...query });
    return (body as { mail: string }).mail;
  }

  function ask(
    method: string,
    query: Record<string, string>,
    init: RequestInit & { key?: string } = {},
  ): Promise<ApiAnswer> {
    return callApi(house.origin, query, { method, key: demo.key, ...init });
  }

  const calls: { name: string; method: string; query: Record<string, string> }[] = [
    { name: "getmails by GET", method: "GET", query: { type: "getmails" } },
    { name: "getmails by POST", method: "POST", query: {} },
    { name: "mailboxes by POST", method: "POST", query: { action: "mailboxes" } },
    { name: "mailboxes by GET", method: "GET", query: { action: "mailboxes" } },
    { name: "create_temp_mailbox", method: "POST", query: { action: "create_temp_mailbox" } },
    { name: "delete_temp_mailbox", method: "POST", query: { action: "delete_temp_mailbox" } },
  ];
  const unknownKey = `mk_${"0".repeat(57)}`;
  const withMail = calls.filter(({ query }) => query["action"] === undefined || query["action"].startsWith("delete"));
  const noKey = { headers: {} };

  const keyRows = calls.flatMap(({ name, method, query }): Row[] => [
    ...[{}, { key: "" }].map((given) => ({
      what: `${name} without a key (${JSON.stringify(given)})`,
      ask: () => callApi(house.origin, { ...query, ...given }, { method, ...noKey }),
      status: 401,
      error: "Missing key",
      code: "missing_key",
    })),
    {
      what: `${name} with another kind of Authorization`,
      ask: () => callApi(house.origin, query, { method, headers: { authorization: "Basic bWs6bWs=" } }),
      status: 401,
      error: "Missing key",
      code: "missing_key",
    },
    ...[unknownKey, "mk_", "nonsense", "mk_ä"].map((key) => ({
      what: `${name} with the parameter key=${key}`,
      ask: () => callApi(house.origin, { ...query, key }, { method, ...noKey }),
      status: 401,
      error: "Invalid key",
      code: "invalid_key",
    })),
    ...[unknownKey, "mk_", "nonsense"].map((key) => ({
      what: `${name} with the Bearer key ${key}`,
      ask: () => callApi(house.origin, query, { method, key }),
      status: 401,
      error: "Invalid API key",
      code: "invalid_key",
    })),
  ]);

  const mailRows = withMail.flatMap(({ name, method, query }): Row[] => [
    ...[{}, { mail: "" }, { mail: " , " }].map((given) => ({
      what: `${name} without mail (${JSON.stringify(given)})`,
      ask: () => ask(method, { ...query, ...given }),
      status: 400,
      error: "Missing mail",
      code: "missing_mail",
    })),
    ...["absent@mails.test", "other@mails.test", "demo@example.com", "not an address", "@", "*@mails.test"].map(
      (mail) => ({
        what: `${name} for ${mail}`,
        ask: () => ask(method, { ...query, mail }),
        status: 403,
        error: "Mailbox scope is invalid",
        code: "mailbox_scope_invalid",
      }),
    ),
    {
      what: `${name} outside a limited key's mailboxes`,
      ask: () => ask(method, { ...query, mail: demo.address }, { key: limited }),
      status: 403,
      error: "Mailbox scope is invalid",
      code: "mailbox_scope_invalid",
    },
  ]);

  const deleteRows = (["demo@mails.test", "hello@mails.test"] as const).map((mail): Row => ({
    what: `delete_temp_mailbox for ${mail}, which is no temp mailbox`,
    ask: () => ask("POST", { action: "delete_temp_mailbox", mail }),
    status: 403,
    error: "Cannot delete main mailbox or alias mailbox (only temp mailbox allowed)",
    code: "not_temp_mailbox",
  }));

  const readOnlyRows = (["create_temp_mailbox", "delete_temp_mailbox"] as const).map((action): Row => ({
    what: `${action} with a key for reading only`,
    ask: () => ask("POST", { action, mail: temp }, { key: readOnly }),
    status: 403,
    error: "Mailbox scope is invalid",
    code: "read_only_key",
  }));

  const wordRows: Row[] = [
    ...["other", "GETMAILS", "getmail"].map((type) => ({
      what: `type=${type}`,
      ask: () => ask("GET", { type, mail: demo.address }),
      status: 400,
      error: "Unknown type",
      code: "unknown_type",
    })),
    ...["other", "Mailboxes", "constructor", "__proto__"].map((action) => ({
      what: `action=${action}`,
      ask: () => ask("POST", { action, mail: demo.address }),
      status: 400,
      error: "Unknown action",
      code: "unknown_action",
    })),
    ...["create_temp_mailbox", "delete_temp_mailbox"].map((action) => ({
      what: `${action} by GET`,
      ask: () => ask("GET", { action, mail: temp }),
      status: 405,
      error: "Method not allowed",
      code: "method_not_allowed",
      allow: "POST, OPTIONS",
    })),
    ...["PUT", "DELETE", "PATCH"].map((method) => ({
      what: `${method} /api`,
      ask: () => ask(method, { mail: demo.address }),
      status: 405,
      error: "Method not allowed",
      code: "method_not_allowed",
      allow: "GET, HEAD, POST, OPTIONS",
    })),
  ];

  const createRows: Row[] = [
    {
      what: "a domain that takes none",
      query: { domain },
      status: 400,
      error: "Domain is invalid",
      code: "domain_invalid",
    },
    {
      what: "no domain of ours",
      query: { domain: "example.com" },
      status: 400,
      error: "Domain is invalid",
      code: "domain_invalid",
    },
    {
      what: "a name in use",
      query: { name: "taken" },
      status: 409,
      error: "Address is already in use",
      code: "address_taken",
    },
    {
      what: "a role name",
      query: { name: "Postmaster" },
      status: 409,
      error: "Address is reserved",
      code: "address_reserved",
    },
    {
      what: "no local part",
      query: { name: "a b@c" },
      status: 400,
      error: "Invalid parameter: name is not a local part",
      code: "invalid_parameter",
    },
    {
      what: "too long a life",
      query: { ttl: "9999999" },
      status: 400,
      error: "Invalid parameter: ttl may be at most 604800 seconds",
      code: "invalid_parameter",
    },
  ].map(({ what, query, ...expected }) => ({
    what: `create_temp_mailbox with ${what}`,
    ask: () => ask("POST", { action: "create_temp_mailbox", ...query }),
    ...expected,
  }));

  const bodyRows: Row[] = calls
    .filter(({ method }) => method === "POST")
    .flatMap(({ name, query }): Row[] => [
      {
        what: `${name} with JSON that is none`,
        ask: () => ask("POST", query, { body: "{", headers: { "content-type": "application/json" } }),
        status: 400,
        error: "Invalid body",
        code: "invalid_body",
      },
      {
        what: `${name} with XML`,
        ask: () => ask("POST", query, { body: "<mail/>", headers: { "content-type": "application/xml" } }),
        status: 415,
        error: "Body type is not supported",
        code: "unsupported_body",
      },
      {
        what: `${name} with too large a body`,
        ask: () => ask("POST", query, { body: new URLSearchParams({ mail: "m".repeat(5000) }) }),
        status: 413,
        error: "Body is too large",
        code: "body_too_large",
      },
    ]);

  for (const row of [
    ...keyRows,
    ...mailRows,
    ...deleteRows,
    ...readOnlyRows,
    ...wordRows,
    ...createRows,
    ...bodyRows,
  ]) {
    test(`${row.what}: ${row.error}`, async () => {
      const { status, body, headers } = await row.ask();
      assert.deepEqual(body, { success: false, error: row.error, code: row.code });
      assert.equal(status, row.status);
      assert.equal(headers.get("allow"), row.allow ?? null);
    });
  }

  test("a chosen name that somebody else gave up: the same as one that is in use", async () => {
    const post = { method: "POST", key: other.key };
    await callApi(house.origin, { action: "create_temp_mailbox", name: "given-up" }, post);
    const mail = `given-up@${tempDomain}`;
    const gone = await callApi(house.origin, { action: "delete_temp_mailbox", mail }, post);
    assert.equal(gone.status, 200);
    const { status, body } = await ask("POST", { action: "create_temp_mailbox", name: "given-up" });
    assert.deepEqual(body, { success: false, error: "Address is already in use", code: "address_taken" });
    assert.equal(status, 409);
  });

  test("the most temp mailboxes that a user may have: Too many temp mailboxes", async () => {
    await makeTemp({});
    const { status, body } = await ask("POST", { action: "create_temp_mailbox" });
    assert.deepEqual(body, { success: false, error: "Too many temp mailboxes", code: "too_many_mailboxes" });
    assert.equal(status, 429);
  });

  test("a wait beyond the limit of open waits: Too many open waits and sockets, with Retry-After", async () => {
    const { status, body, headers } = await ask("GET", { mail: demo.address, wait: "1" });
    assert.deepEqual(body, { success: false, error: "Too many open waits and sockets", code: "too_many_followers" });
    assert.equal(status, 429);
    assert.equal(headers.get("retry-after"), "5");
  });
});
