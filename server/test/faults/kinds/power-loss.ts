import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { diskCalls, readDiskRecord, type DiskEvent } from "../disk-record.ts";
import type { Fault, Trial } from "../fault.ts";
import { addFindings, describeFindings, noFindings, type Findings } from "../findings.ts";
import { sha256, type LedgerEntry } from "../ledger.ts";
import { makeMail, makeToken, stuffDots } from "../mail-factory.ts";
import { cutPower } from "../power-cut.ts";
import { Rig } from "../rig.ts";
import { SmtpLink } from "../smtp-link.ts";
import { canTrace, straceCommand, traceEnded } from "../strace-file.ts";
import type { Random } from "../../support/random.ts";

const cutsPerRecording = 10;
const manyLarge = 13;

/** A power cut on a disk that keeps its word about syncs, and about nothing else. */
export const powerLoss: Fault = {
  name: "power",
  about: "power loss: what was not synced before the cut is there, torn or gone",
  obstacle: () => (canTrace() ? null : "strace is not installed, or may not trace here"),
  times: (cycles) => Math.max(1, Math.round(cycles / 10)),
  inflict: (trial) => cutAgainAndAgain(trial, true),
  control: {
    about: "the same on a disk whose syncs do nothing",
    inflict: (trial) => cutAgainAndAgain({ ...trial, times: 1 }, false),
  },
};

async function cutAgainAndAgain(trial: Trial, keepsItsWord: boolean): Promise<Findings> {
  const sum = noFindings();
  for (let done = 0; done < trial.times && !trial.signal.aborted; done += cutsPerRecording) {
    await using rig = await Rig.make(trial);
    // In turns: the log is copied back while mail comes, and all mail lies in files beside the database.
    const isInFiles = (done / cutsPerRecording) % 2 === 1;
    const large = keepsItsWord && !isInFiles ? manyLarge : 0;
    const recording = await record(rig, { large, rawFilesFrom: isInFiles ? "1" : "0" });
    if (large > 0 && !copiesBackWhileMailComes(recording.events))
      sum.broken.push("the log was never copied back while mail came");
    if (isInFiles && !usesRawFiles(recording.events)) sum.broken.push("no mail came into a file");
    const cuts = Math.min(cutsPerRecording, trial.times - done);
    // The control is to lose mail, so it comes when there is some.
    const from = keepsItsWord ? 0 : 0.5;
    for (const [index, at] of moments(recording.events, { random: rig.random, cuts, from }).entries()) {
      if (trial.signal.aborted) break;
      const findings = await cutAndRecover(rig, recording, { at, keepsItsWord }).catch((error: unknown) => {
        // A database that cannot even be opened is a fault as well.
        return { ...noFindings(), broken: [String(error)] };
      });
      trial.say(`power cut ${done + index + 1} of ${trial.times}: ${describeFindings(findings)}`);
      addFindings(sum, { ...findings, times: 1 });
    }
  }
  return sum;
}

interface SentMail {
  token: string;
  sha256: string;
  recipient: string;
  reply: string;
}

interface Recording {
  before: ReadonlyMap<string, Buffer>;
  events: readonly DiskEvent[];
  sent: readonly SentMail[];
}

/** Lets a traced server take mail; many large ones make it copy its log back while small ones go on coming in. */
async function record(rig: Rig, { large, rawFilesFrom }: { large: number; rawFilesFrom: string }): Promise<Recording> {
  const { dataDir } = rig;
  const before = new Map(readdirSync(dataDir).map((name) => [name, readFileSync(join(dataDir, name))]));
  const trace = rig.path("trace");
  await using service = await rig.serve({
    under: straceCommand(diskCalls, trace),
    env: { CATMAILS_RAW_FILES_FROM: rawFilesFrom },
  });
  const sizes = [...Array<number[]>(6).fill(Array<number>(60).fill(1500)), Array<number>(large).fill(6_000_000)];
  const sent = await Promise.all(sizes.map((ofOne) => sendFrom(rig, service.report.smtp.port, ofOne)));
  const code = await service.stop();
  if (code !== 0) throw new Error(`the traced server ended with ${code}`);
  await traceEnded(trace, service.pid);
  return { before, events: await readDiskRecord(trace, dataDir), sent: sent.flat() };
}

async function sendFrom(rig: Rig, port: number, sizes: readonly number[]): Promise<SentMail[]> {
  using link = await SmtpLink.open(port);
  const sent: SentMail[] = [];
  for (const bytes of sizes) {
    const token = makeToken();
    const raw = makeMail(rig.random, token, bytes);
    const recipient = rig.random.pick(rig.residents).address;
    const wire = stuffDots(raw);
    const reply = await link.deliver({ envelopeFrom: "sender@example.org", recipients: [recipient], wire });
    if (!reply.startsWith("250 2.0.0 ")) throw new Error(`not taken: ${reply}`);
    sent.push({ token, sha256: sha256(raw), recipient, reply });
  }
  return sent;
}

async function cutAndRecover(
  rig: Rig,
  { before, events, sent }: Recording,
  { at, keepsItsWord }: { at: number; keepsItsWord: boolean },
): Promise<Findings> {
  const recovered = rig.path("recovered");
  rmSync(recovered, { recursive: true, force: true });
  mkdirSync(recovered, { mode: 0o700 });
  const files = cutPower({ before, events, at, random: rig.random, keepsItsWord });
  for (const [name, bytes] of files) writeFileSync(join(recovered, name), bytes);
  const said = new Set(events.flatMap((event) => (event.kind === "reply" && event.startedAt <= at ? event.line : [])));
  const entries = sent.map((mail): LedgerEntry => {
    const state = said.has(mail.reply) ? "acknowledged" : "unknown";
    return { token: mail.token, sha256: mail.sha256, attempts: [{ recipients: [mail.recipient], state }] };
  });
  return rig.judgeCopy(recovered, new Map(entries.map((entry) => [entry.token, entry])));
}

/** Moments from this share of the events on, at random and, as many, close to the end of a sync, where the disk has just changed its mind. */
function moments(
  events: readonly DiskEvent[],
  { random, cuts, from }: { random: Random; cuts: number; from: number },
): number[] {
  const last = events.at(-1)?.startedAt ?? 0;
  const first = Math.max(1, Math.floor(last * from));
  const syncs = events.flatMap(({ kind, startedAt }) => (kind === "sync" && startedAt >= first ? startedAt : []));
  return Array.from({ length: cuts }, (_, index) =>
    index % 2 === 0 ? random.integer(first, last) : random.pick(syncs) + random.integer(-3, 5),
  );
}

function copiesBackWhileMailComes(events: readonly DiskEvent[]): boolean {
  const lastReply = events.findLast(({ kind }) => kind === "reply");
  return events.some(
    (event) => event.kind === "write" && event.file.endsWith(".db") && event.startedAt < (lastReply?.startedAt ?? 0),
  );
}

/** Whether mail was written to a file that had been made full of zeros. */
function usesRawFiles(events: readonly DiskEvent[]): boolean {
  const isOfRawFile = (event: DiskEvent): boolean => event.kind !== "reply" && /-raw-\d+$/.test(event.file);
  const written = events.filter((event) => event.kind === "write" && isOfRawFile(event));
  return written.some((event) => event.kind === "write" && event.bytes.some((byte) => byte !== 0));
}
