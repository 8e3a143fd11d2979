import { readFile } from "node:fs/promises";
import { SampleMails } from "../sample-mail.ts";
import type { StoredMails } from "./peer.ts";
import type { Audit } from "./result.ts";
import { newToken, sendMails, sentBytes, type Rig } from "./workload.ts";

/** Mails that are read back and compared, at the most. */
const readMails = 500;
const numberInId = /Message-I[Dd]: <(\d{9})\.([0-9a-z]+)@/;
/** The first line of every sample mail; servers put trace lines of their own above it. */
const firstLine = "Received: from mx.example.com ";

/** Counts the syncs of a traced peer while it takes mail, then compares what it stored with what was sent. */
export async function auditPeer(rig: Rig, seconds: number, tracePath: string): Promise<Audit> {
  const { running } = rig;
  const token = newToken();
  const stored = await running.stored?.count();
  const before = await countSyncs(tracePath);
  const sent = await sendMails(rig, seconds, token);
  const syncs = (await countSyncs(tracePath)) - before;
  await running.settle?.();
  if (running.stored === undefined) return { acknowledged: sent.mails, syncs, stored: null, read: 0, equal: 0 };
  const after = await running.stored.count();
  const compared = await compareMails(running.stored, new SampleMails(sentBytes, token), token);
  return { acknowledged: sent.mails, syncs, stored: after - (stored ?? 0), ...compared };
}

/** Lines where a call begins; what a tracer shows as resumed began before. */
async function countSyncs(tracePath: string): Promise<number> {
  const text = await readFile(tracePath, "utf8").catch(() => "");
  return text.match(/^\d+\s+(?:fsync|fdatasync|sync_file_range|msync|syncfs|sync)\(/gm)?.length ?? 0;
}

async function compareMails(
  stored: StoredMails,
  sent: SampleMails,
  token: string,
): Promise<{ read: number; equal: number }> {
  let [read, equal] = [0, 0];
  for await (const raw of stored.read(readMails)) {
    read++;
    const text = Buffer.from(raw).toString("latin1");
    const [, number, foundToken] = numberInId.exec(text) ?? [];
    if (number === undefined || foundToken !== token) continue;
    if (plain(text) === plain(sent.bytesOf(Number(number)).toString("latin1"))) equal++;
  }
  return { read, equal };
}

/** Without trace lines that were put above it, with line ends of one kind and none at its end: what servers may change. */
function plain(text: string): string {
  return text
    .slice(Math.max(0, text.indexOf(firstLine)))
    .replaceAll("\r\n", "\n")
    .trimEnd();
}
