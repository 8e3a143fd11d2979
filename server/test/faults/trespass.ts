import type { SeedPush } from "@catmails/client";
import { FeedSocket } from "./feed-socket.ts";

/** Somebody with a key who tries what is not theirs. */
export interface Intruder {
  key: string;
  /** A mailbox of their own, for requests that mix. */
  address: string;
  /** Of the last mail they received. */
  lastSubject: string;
}

/** Where the API listens, as the server reports it. */
export interface Doors {
  http: string;
  websocket: string;
}

interface Attempt {
  name: string;
  /** Everything that comes back when it is tried on an address: status, headers but the date, body; frames and close. */
  run: (target: string) => Promise<string>;
}

/** Every documented call, way of authentication and combination of parameters that can name an address. */
export function attempts(doors: Doors, intruder: Intruder): Attempt[] {
  return [
    ...listAttempts(doors, intruder),
    ...detailAttempts(doors, intruder),
    ...changeAttempts(doors, intruder),
    ...socketAttempts(doors, intruder),
  ];
}

/** What an address is written like when one tries to get around a check. */
export function disguises(address: string): string[] {
  const [local = "", domain = ""] = address.split("@");
  return [
    address,
    address.toUpperCase(),
    `${local}+tag@${domain}`,
    `${local}+@${domain}`,
    `"${local}"@${domain}`,
    ` ${address} `,
    `<${address}>`,
    `${address}.`,
    `${address}\u0000`,
    `${address}' OR '1'='1`,
  ];
}

/** What looks like everything, to something that builds its statements from strings. */
export const wildcards: readonly string[] = ["*", "%", "%@%", "@", "' OR 1=1 --", "null", "0", "[]"];

const pages: readonly Record<string, string>[] = [
  {},
  { since: "0" },
  { before: "9007199254740991" },
  { since: "0", before: "9007199254740991", limit: "1" },
  { since: "0", wait: "0.02" },
  { type: "getmails" },
  { dmarc: "pass" },
  { dmarc: "fail", wait: "0.02" },
];

/** More mails than anybody has in these tests. */
const mailIds = Array.from({ length: 20 }, (_, index) => String(index));

function listAttempts({ http }: Doors, { key, address: own }: Intruder): Attempt[] {
  const mixes: readonly ((target: string) => string[])[] = [
    (target) => [target],
    (target) => [`${own},${target}`],
    (target) => [target, own],
  ];
  return pages.flatMap((page) =>
    mixes.flatMap((mix, at) => {
      const name = `${JSON.stringify(page)} mix ${at}`;
      const query = (target: string, extra: Record<string, string> = {}): URLSearchParams =>
        new URLSearchParams([
          ...mix(target).map((mail): [string, string] => ["mail", mail]),
          ...Object.entries({ ...page, ...extra }),
        ]);
      const bearer = { authorization: `Bearer ${key}` };
      return [
        { name: `GET with key ${name}`, run: (target) => call(http, query(target, { key })) },
        { name: `GET with Bearer ${name}`, run: (target) => call(http, query(target), { headers: bearer }) },
        { name: `HEAD ${name}`, run: (target) => call(http, query(target, { key }), { method: "HEAD" }) },
        {
          name: `POST form ${name}`,
          run: (target) => call(http, new URLSearchParams(), { method: "POST", headers: bearer, body: query(target) }),
        },
        {
          name: `POST JSON ${name}`,
          run: (target) =>
            call(http, new URLSearchParams(), {
              method: "POST",
              headers: { ...bearer, "content-type": "application/json" },
              body: JSON.stringify({ ...page, mail: mix(target), key }),
            }),
        },
      ] satisfies Attempt[];
    }),
  );
}

/** A mail is asked for by its id, which counts per user: no id, and no address beside it, may show another user's. */
function detailAttempts({ http }: Doors, { key }: Intruder): Attempt[] {
  const mails = new URL("/v1/mails/", http);
  const bearer = { authorization: `Bearer ${key}` };
  /** Asked once: no address is part of the question. */
  const each = (query: URLSearchParams, init: RequestInit): (() => Promise<string>) => {
    let answers: Promise<string[]> | null = null;
    return async () => {
      answers ??= Promise.all(mailIds.map((id) => call(new URL(id, mails).href, query, init)));
      return (await answers).join("\n");
    };
  };
  return [
    { name: "every mail by id with key", run: each(new URLSearchParams({ key }), {}) },
    { name: "every mail by id with Bearer", run: each(new URLSearchParams(), { headers: bearer }) },
    {
      name: "a mail by address",
      run: (target) =>
        call(new URL(encodeURIComponent(target), mails).href, new URLSearchParams(), { headers: bearer }),
    },
  ];
}

function changeAttempts({ http }: Doors, { key }: Intruder): Attempt[] {
  const headers = { authorization: `Bearer ${key}` };
  return [
    {
      name: "delete_temp_mailbox",
      run: (target) =>
        call(http, new URLSearchParams({ action: "delete_temp_mailbox" }), {
          method: "POST",
          headers,
          body: new URLSearchParams({ mail: target }),
        }),
    },
    {
      name: "mailboxes",
      run: (mail) => call(http, new URLSearchParams({ action: "mailboxes", mail }), { method: "POST", headers }),
    },
  ];
}

function socketAttempts({ websocket }: Doors, { key, address: own, lastSubject }: Intruder): Attempt[] {
  const queries: readonly ((target: string) => Record<string, string>)[] = [
    (target) => ({ mail: target }),
    (target) => ({ mail: target, since: "0" }),
    (target) => ({ mail: `${own},${target}`, since: "0" }),
  ];
  const refused = queries.map((query, at) => ({
    name: `WebSocket ${at}`,
    run: (target: string) => tryToFollow(websocket, { key, ...query(target) }),
  }));
  return [
    ...refused,
    { name: "WebSocket of the own feed", run: () => replay(websocket, { key, since: "0" }, lastSubject) },
    { name: "WebSocket of the own mailbox", run: () => replay(websocket, { key, since: "0", mail: own }, lastSubject) },
  ];
}

async function call(http: string, query: URLSearchParams, init: RequestInit = {}): Promise<string> {
  const response = await fetch(`${http}?${query.toString()}`, init);
  const headers = [...response.headers].filter(([name]) => name !== "date").map(([name, value]) => `${name}: ${value}`);
  return [response.status, ...headers, "", await response.text()].join("\n");
}

/** A socket that is refused is closed before it would answer a ping. */
async function tryToFollow(websocket: string, query: Record<string, string>): Promise<string> {
  const frames: string[] = [];
  using socket = new FeedSocket({ websocket, query, onMail: (push) => frames.push(JSON.stringify(push)) });
  await socket.opened;
  const end = await Promise.race([socket.ended, socket.ping()]);
  return [...frames, end === undefined ? "open" : `closed with ${end.code} ${end.reason}`].join("\n");
}

/** Everything up to the intruder's last mail. */
async function replay(websocket: string, query: Record<string, string>, lastSubject: string): Promise<string> {
  const frames: string[] = [];
  const complete = Promise.withResolvers<void>();
  const onMail = (push: SeedPush): void => {
    frames.push(JSON.stringify(push));
    if (push.subject === lastSubject) complete.resolve();
  };
  using socket = new FeedSocket({ websocket, query, onMail });
  await Promise.race([complete.promise, socket.ended]);
  return frames.join("\n");
}

/** Attempts whose answer holds one of the words that only the owner may see. */
export async function findLeaks(
  tried: readonly Attempt[],
  targets: readonly string[],
  secrets: readonly string[],
): Promise<string[]> {
  const leaks: string[] = [];
  for (const { name, run } of tried) {
    const answers = await Promise.all(targets.map(async (target) => ({ target, answer: await run(target) })));
    for (const { target, answer } of answers) {
      if (secrets.some((secret) => answer.includes(secret))) leaks.push(`${name}, ${target}: ${answer}`);
    }
  }
  return leaks;
}

/** Attempts that answer something foreign in another way than something absent. */
export async function findTellTales(
  tried: readonly Attempt[],
  pairs: readonly { foreign: string; absent: string }[],
): Promise<string[]> {
  const tales: string[] = [];
  for (const { name, run } of tried) {
    for (const { foreign, absent } of pairs) {
      const [one, other] = await Promise.all([run(foreign), run(absent)]);
      if (one !== other) tales.push(`${name}, ${foreign}:\n${one}\nbut ${absent}:\n${other}`);
    }
  }
  return tales;
}
