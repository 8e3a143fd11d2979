import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ARCResult, DKIMResult, DKIMVerifyResult, DMARCResult, SPFResult } from "mailauth";
import { maxSignatures, type Authentication, type CheckedMail, type DkimFinding } from "./authentication.ts";
import { DnsError, type DnsResolver, type Resolve } from "./dns-resolver.ts";
import { fromFieldsOnly, signatureCost, type SignatureCost } from "./signature-cost.ts";

/** What mailauth does for us; loaded on first use, because it costs a third of a second and 40 MB. */
export type MailAuth = Pick<typeof import("mailauth"), "spf" | "dkimVerify" | "arc" | "dmarc">;

export interface SenderCheckOptions {
  mailauth: MailAuth;
  resolver: DnsResolver;
  /** Our name, for policies that ask who is checking. */
  hostname: string;
  /** How long it may take in all. */
  budgetMs: number;
}

/** Questions to the DNS for SPF (which has limits of its own), for all signatures, and for DMARC's and ARC's. */
const maxQuestions = { spf: 120, dkim: 2 * maxSignatures, dmarc: 100, arc: 100 };
/** SPF and DKIM get this share of the time, so that a slow domain in either cannot keep DMARC from its answer. */
const firstShare = 0.6;
/** What is left at the end, to hand the answer over. */
const lastShare = 0.95;
const maxTextChars = 255;

// Exactly what the RFCs say: leniency here is a gap for somebody.
const strict = true;

/**
 * Finds out who sent a mail, by mailauth and one resolver. Nothing that the mail says about such checks is ever read, an
 * Authentication-Results with our own name included. Takes `budgetMs` at most, but for the time of the processor; what
 * the DNS did not answer by then is `temperror`.
 */
export async function checkSender(mail: CheckedMail, options: SenderCheckOptions): Promise<Authentication> {
  const { mailauth, resolver, budgetMs } = options;
  const startedMs = performance.now();
  const ask = (share: number, questions: number): Resolve =>
    resolver.within({ deadlineMs: startedMs + share * budgetMs, maxQuestions: questions });
  const cost = signatureCost(mail.raw);
  const signed = cost === "affordable" ? bufferOf(mail.raw) : fromFieldsOnly(mail.raw);
  const [spf, dkim] = await Promise.all([
    askSpf(mail, ask(firstShare, maxQuestions.spf), options),
    mailauth.dkimVerify(inPieces(signed), {
      resolver: plain(definite(ask(firstShare, maxQuestions.dkim))),
      sender: mail.envelopeFrom,
      strict,
    }),
  ]);
  const [arc, dmarc] = await Promise.all([
    dkim.arc === undefined
      ? null
      : mailauth.arc(dkim.arc as Parameters<MailAuth["arc"]>[0], {
          resolver: plain(definite(ask(lastShare, maxQuestions.arc))),
          strict,
        }),
    askDmarc({ spf, dkim }, ask(lastShare, maxQuestions.dmarc), mailauth),
  ]);
  return {
    spf: { result: spf.status.result, domain: text(spf.domain), ...reasonOf(spf) },
    dkim: cost === "affordable" ? dkim.results.flatMap(dkimFinding) : [notVerified(cost)],
    dmarc: dmarcFinding({ spf, dkim, dmarc, cost }),
    arc: cost === "affordable" ? arcFinding(arc) : { result: "policy", sealer: null, reason: notVerified(cost).reason },
  };
}

function askSpf(mail: CheckedMail, resolve: Resolve, { mailauth, hostname }: SenderCheckOptions): Promise<SPFResult> {
  return mailauth.spf({
    ip: mail.ip,
    helo: mail.helo === "" ? `[${mail.ip}]` : mail.helo,
    mta: hostname,
    resolver: plain(resolve),
    strict,
    ...(mail.envelopeFrom === "" ? {} : { sender: mail.envelopeFrom }),
  });
}

function askDmarc(
  { spf, dkim }: { spf: SPFResult; dkim: DKIMVerifyResult },
  resolve: Resolve,
  mailauth: MailAuth,
): Promise<DMARCResult | false> {
  return mailauth.dmarc({
    headerFrom: dkim.headerFrom,
    fromFields: dkim.fromFields,
    spfDomains: spf.status.result === "pass" ? [spf.domain] : [],
    dkimDomains: dkim.results.flatMap(({ id, status, signingDomain }) =>
      status.result === "pass" && signingDomain !== undefined
        ? [
            {
              domain: signingDomain,
              ...(id === undefined ? {} : { id }),
              ...(status.aligned === undefined ? {} : { aligned: status.aligned }),
              ...(status.underSized === undefined ? {} : { underSized: status.underSized }),
            },
          ]
        : [],
    ),
    resolver: plain(resolve),
    strict,
  });
}

interface Found {
  spf: SPFResult;
  dkim: DKIMVerifyResult;
  dmarc: DMARCResult | false;
  cost: SignatureCost;
}

function dmarcFinding({ spf, dkim, dmarc, cost }: Found): Authentication["dmarc"] {
  const domain = text(dkim.headerFrom[0]?.split("@").pop());
  if (dmarc === false) {
    return { result: "permerror", domain, policy: null, aligned: [], reason: "From does not name one domain" };
  }
  const { result } = dmarc.status;
  const aligned = (["spf", "dkim"] as const).filter((by) => dmarc.alignment?.[by].result !== undefined);
  const known = { domain: text(dmarc.status.header?.from) ?? domain, policy: policyOf(dmarc), aligned };
  if (result === "fail" && cost === "big") {
    return { ...known, result: "temperror", reason: notVerified(cost).reason };
  }
  if (result === "fail" && mightHavePassed({ spf, dkim }, dmarc.domain)) {
    return { ...known, result: "temperror", reason: "The DNS did not answer in time" };
  }
  if (result === "pass" || result === "fail" || result === "none") return { ...known, result };
  return { ...known, result: "temperror", reason: text(dmarc.error) ?? "The DNS did not answer in time" };
}

/**
 * Whether a check of the author's own organisation failed for want of an answer. Only then is a failed DMARC uncertain:
 * a foreign domain with a slow server could not have vouched for it, however it answers.
 */
function mightHavePassed({ spf, dkim }: Pick<Found, "spf" | "dkim">, organisation: string): boolean {
  const own = (name: string | undefined): boolean => {
    const lower = (name ?? "").toLowerCase();
    return lower === organisation || lower.endsWith(`.${organisation}`);
  };
  return (
    (spf.status.result === "temperror" && own(spf.domain)) ||
    dkim.results.some(({ status, signingDomain }) => status.result === "temperror" && own(signingDomain))
  );
}

function policyOf({ policy }: DMARCResult): Authentication["dmarc"]["policy"] {
  return policy === "none" || policy === "quarantine" || policy === "reject" ? policy : null;
}

function dkimFinding(found: DKIMResult): DkimFinding[] {
  // What is there instead of a signature when there is none.
  if (found.status.result === "none") return [];
  const { result } = found.status;
  return [{ result, domain: text(found.signingDomain), selector: text(found.selector), ...reasonOf(found) }];
}

function arcFinding(arc: ARCResult | null): Authentication["arc"] {
  if (arc === null) return { result: "none", sealer: null };
  const sealer = arc.signature === undefined || arc.signature === false ? null : text(arc.signature.signingDomain);
  return { result: arc.status.result, sealer, ...reasonOf(arc) };
}

function notVerified(cost: SignatureCost): DkimFinding & { reason: string } {
  const reason = cost === "big" ? "Too much to hash" : "Too many signatures, or too long a header";
  return { result: "policy", domain: null, selector: null, reason };
}

function reasonOf({ status }: { status: { result: string; comment?: string } }): { reason?: string } {
  const reason = status.result === "pass" || status.result === "none" ? null : text(status.comment);
  return reason === null ? {} : { reason };
}

function text(value: string | undefined): string | null {
  return value === undefined || value === "" ? null : value.slice(0, maxTextChars).toWellFormed();
}

/**
 * What cannot be a name is not there. A key that could not be asked for leaves open whether a signature is good, and any
 * mail may bring one whose selector is too long to ask for.
 */
function definite(resolve: Resolve): Resolve {
  return async (name, type) => {
    try {
      return await resolve(name, type);
    } catch (error) {
      throw error instanceof DnsError && error.code === "EBADNAME" ? new DnsError("ENOTFOUND", name) : error;
    }
  };
}

/** mailauth's type knows no MX records, which it reads all the same. */
function plain(resolve: Resolve): (domain: string, type: string) => Promise<string[][] | string[]> {
  return resolve as (domain: string, type: string) => Promise<string[][]>;
}

/** What is written at once, and between which others get their turn. */
const pieceBytes = 64 * 1024;

/**
 * A mail in pieces that end where lines do: of a line that goes on in the next piece mailauth looks at all of it again, so
 * that one of 5 MB would cost 3 s and one of 25 MB more than a minute.
 */
function inPieces(mail: Buffer): Buffer | Readable {
  return mail.length <= pieceBytes ? mail : Readable.from(piecesOf(mail));
}

async function* piecesOf(mail: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < mail.length;) {
    const lineEnd = mail.indexOf("\n", at + pieceBytes - 1);
    const end = lineEnd < 0 ? mail.length : lineEnd + 1;
    yield mail.subarray(at, end);
    at = end;
    await nextTurn();
  }
}

function bufferOf(raw: Uint8Array): Buffer {
  return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
}
