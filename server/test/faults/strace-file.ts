import { spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createInterface } from "node:readline";
import { until } from "../support/until.ts";

/** When a call ran, counted in the one order that strace saw over all threads. */
export interface Timed {
  startedAt: number;
  /** `Infinity` until it has returned without a fault, and for ever when strace only pretended that it was made. */
  endedAt: number;
}

/**
 * A command line that traces these system calls of a server into a file. The tracer runs beside the server and not above
 * it, so the server keeps the process id. `tamper` is what else strace is told.
 */
export function straceCommand(calls: string, file: string, tamper: readonly string[] = []): string[] {
  // -y: paths of file descriptors. -s: more than anything that is written at once, so that nothing is cut short.
  return ["strace", "-D", "-f", "--seccomp-bpf", "-y", "-s", "300000", "-e", `trace=${calls}`, ...tamper, "-o", file];
}

/** True when strace is there and allowed. */
export function canTrace(): boolean {
  return spawnSync("strace", ["-f", "--seccomp-bpf", "-o", "/dev/null", "true"]).status === 0;
}

/** Resolves once the tracer has written the last line about a process that has ended. */
export async function traceEnded(file: string, pid: number): Promise<void> {
  await using trace = await open(file);
  const last = Buffer.alloc(200);
  await until("the trace is complete", async () => {
    const { size } = await trace.stat();
    const { bytesRead } = await trace.read(last, 0, last.length, Math.max(0, size - last.length));
    return new RegExp(`^${pid} +\\+\\+\\+ `, "m").test(last.toString("latin1", 0, bytesRead));
  });
}

const whole = /^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(.*)$/;
const unfinished = /^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$/;
const resumed = /^(\d+) +<\.\.\. \w+ resumed>.*\) += (-?\d+|\?)(.*)$/;

/** Reads a trace; keeps what `describe` makes of a call's name and its arguments as strace writes them. */
export async function readTrace<T extends object>(
  file: string,
  describe: (name: string, args: string) => T | null,
): Promise<(T & Timed)[]> {
  const calls: (T & Timed)[] = [];
  const pending = new Map<string, Timed>();
  let at = 0;
  for await (const line of createInterface({ input: createReadStream(file, "latin1") })) {
    at++;
    const end = resumed.exec(line);
    if (end !== null) {
      const call = pending.get(end[1] ?? "");
      if (call !== undefined && succeeded(end[2], end[3])) call.endedAt = at;
      pending.delete(end[1] ?? "");
      continue;
    }
    const start = unfinished.exec(line) ?? whole.exec(line);
    const described = start === null ? null : describe(start[2] ?? "", start[3] ?? "");
    if (start === null || described === null) continue;
    const call = { ...described, startedAt: at, endedAt: Infinity };
    calls.push(call);
    if (start[4] === undefined) pending.set(start[1] ?? "", call);
    else if (succeeded(start[4], start[5])) call.endedAt = at;
  }
  return calls;
}

/** What acknowledges a mail in a write to a socket, the line of SMTP or the receipt in JSON; `null` for any other call. */
export function replyOf(args: string): string | null {
  const line = /^\d+<socket:.*?"(250 2\.0\.0 [^\\"]*)/.exec(args)?.[1];
  return line ?? /^\d+<socket:.*?\\"receipt\\":\\"([0-9a-f-]{36})/.exec(args)?.[1] ?? null;
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", v: "\v", f: "\f" };

/** The bytes of a string as strace writes it between its quotes. */
export function unescapeBytes(text: string): Buffer {
  // A file that is made full of zeros would take seconds.
  if (/^(?:\\0)+$/.test(text)) return Buffer.alloc(text.length / 2);
  const plain = text.replace(/\\(?:([0-7]{1,3})|(.))/g, (_, octal: string | undefined, character: string) =>
    octal === undefined ? (escapes[character] ?? character) : String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(plain, "latin1");
}

function succeeded(result = "", note = ""): boolean {
  return Number(result) >= 0 && !note.includes("INJECTED");
}
