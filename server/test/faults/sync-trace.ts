import { readTrace, replyOf } from "./strace-file.ts";

/** Calls that strace has to follow for {@link proveSyncs}. */
export const syncCalls = "fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg";

/** Tells {@link proveSyncs} what to look for in the bytes written. */
const tokenPattern = /mail[0-9a-f]{18}/g;

interface Call {
  kind: "log-write" | "log-sync" | "reply";
  /** Tokens in a write to the log, the line of a reply. */
  content: readonly string[];
}

/**
 * Those mails for which the trace shows, in this order: the mail's bytes written to the write-ahead log, and nothing
 * written to it after that; a sync of the log begun; the sync completed; the reply to the final dot begun. Meant for
 * mails that were sent one at a time; `reply` is the line that acknowledged the mail.
 */
export async function proveSyncs(
  traceFile: string,
  mails: readonly { token: string; reply: string }[],
): Promise<Set<string>> {
  const calls = await readTrace(traceFile, describe);
  const writes = calls.filter(({ kind }) => kind === "log-write");
  const syncs = calls.filter(({ kind }) => kind === "log-sync");
  const replies = new Map(calls.flatMap((call) => call.content.map((line) => [line, call] as const)));
  const proven = mails.filter(({ token, reply }) => {
    const repliedAt = replies.get(reply)?.startedAt ?? 0;
    const before = writes.filter(({ startedAt }) => startedAt < repliedAt);
    const writtenAt = Math.max(...before.map(({ endedAt }) => endedAt));
    return (
      before.some(({ content }) => content.includes(token)) &&
      syncs.some(({ startedAt, endedAt }) => startedAt > writtenAt && endedAt < repliedAt)
    );
  });
  return new Set(proven.map(({ token }) => token));
}

function describe(name: string, args: string): Call | null {
  const isOnLog = /^\d+<[^>]*-wal>/.test(args);
  if (isOnLog && name.endsWith("sync")) return { kind: "log-sync", content: [] };
  if (isOnLog) return { kind: "log-write", content: [...args.matchAll(tokenPattern)].map(([token]) => token) };
  const reply = replyOf(args);
  return reply === null ? null : { kind: "reply", content: [reply] };
}
