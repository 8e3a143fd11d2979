import { decode, encode, RECURSION_DESIRED, type Answer, type Packet } from "dns-packet";

/** Record types that are asked for. */
export type RecordType = "A" | "AAAA" | "CNAME" | "MX" | "NS" | "PTR" | "TXT";

/** What a server said to one question, with how long it may be believed. */
export type Outcome =
  | { kind: "records"; values: RecordValue[]; ttlMs: number }
  /** `ENOTFOUND`: there is no such name. `ENODATA`: it has no record of this type. */
  | { kind: "none"; code: "ENOTFOUND" | "ENODATA"; ttlMs: number }
  /** The server could not or would not say. */
  | { kind: "failed"; code: "ESERVFAIL" | "EREFUSED" };

/** A record as `node:dns` gives it: chunks of a TXT, a host with its priority, or one text. */
export type RecordValue = string | string[] | { priority: number; exchange: string };

/** Largest answer over UDP that crosses every common path in one piece (DNS flag day 2020). */
const udpPayloadBytes = 1232;
/** Aliases followed within one answer. */
const maxAliases = 8;

/** The bytes of one recursive question (RFC 1035 section 4.1, EDNS0 of RFC 6891). Throws for what is no name. */
export function encodeQuestion(id: number, name: string, type: RecordType): Buffer {
  return encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [{ type, name, class: "IN" }],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: udpPayloadBytes,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
}

/** A message that answers exactly this question; `null` for anything else, malformed bytes included. */
export function decodeAnswer(bytes: Buffer, question: { id: number; name: string; type: RecordType }): Packet | null {
  let packet: Packet;
  try {
    packet = decode(bytes);
  } catch {
    return null;
  }
  const [asked, ...more] = packet.questions ?? [];
  const isOurs = asked !== undefined && more.length === 0 && sameName(asked.name, question.name);
  return packet.type === "response" && packet.id === question.id && isOurs && asked.type === question.type
    ? packet
    : null;
}

/** What an answer says about a name: aliases are followed within it, records of other names are left out. */
export function readOutcome(packet: Packet, name: string, type: RecordType): Outcome {
  const rcode = "rcode" in packet ? String(packet.rcode) : "";
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") {
    return { kind: "failed", code: rcode === "REFUSED" ? "EREFUSED" : "ESERVFAIL" };
  }
  const answers = packet.answers ?? [];
  let owner = name;
  let ttl = Number.POSITIVE_INFINITY;
  for (let step = 0; step <= maxAliases; step++) {
    const own = answers.filter((answer) => sameName(answer.name, owner));
    const found = own.filter((answer) => answer.type === type);
    if (found.length > 0) {
      const values = found.map(valueOf).filter((value) => value !== null);
      return { kind: "records", values, ttlMs: Math.min(ttl, ...found.map(ttlOf)) * 1000 };
    }
    const alias = own.find((answer) => answer.type === "CNAME");
    if (alias?.type !== "CNAME") break;
    ttl = Math.min(ttl, ttlOf(alias));
    owner = alias.data;
  }
  const code = rcode === "NXDOMAIN" ? "ENOTFOUND" : "ENODATA";
  return { kind: "none", code, ttlMs: Math.min(ttl, negativeTtl(packet)) * 1000 };
}

/** RFC 2308 section 5: how long a nothing may be believed stands in the zone's SOA; without one, not at all. */
function negativeTtl(packet: Packet): number {
  const soa = (packet.authorities ?? []).find((record) => record.type === "SOA");
  return soa?.type === "SOA" ? Math.min(ttlOf(soa), soa.data.minimum ?? 0) : 0;
}

function valueOf(answer: Answer): RecordValue | null {
  switch (answer.type) {
    case "A":
    case "AAAA":
    case "CNAME":
    case "NS":
    case "PTR":
      return answer.data;
    case "MX":
      return { priority: answer.data.preference ?? 0, exchange: answer.data.exchange };
    case "TXT":
      // Bytes as characters: what is compared is ASCII, and nothing else may be lost or made up.
      return [answer.data].flat().map((chunk) => (typeof chunk === "string" ? chunk : chunk.toString("latin1")));
    default:
      return null;
  }
}

function ttlOf(answer: Answer): number {
  return "ttl" in answer && typeof answer.ttl === "number" ? answer.ttl : 0;
}

function sameName(one: string, other: string): boolean {
  return bare(one) === bare(other);
}

function bare(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}
