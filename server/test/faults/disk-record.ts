import { databaseName } from "../../src/store/sqlite/sqlite-store.ts";
import { readTrace, replyOf, unescapeBytes, type Timed } from "./strace-file.ts";

/** Calls that strace has to follow for {@link readDiskRecord}. */
export const diskCalls =
  "openat,unlink,rename,link,fallocate,ftruncate,pwrite64,pwritev,fsync,fdatasync,write,writev,sendto,sendmsg";

/** What was done to a disk, and what was said to senders meanwhile. */
export type DiskEvent = Timed &
  (
    | { kind: "write"; file: string; offset: number; bytes: Buffer }
    | { kind: "truncate"; file: string; length: number }
    | { kind: "create"; file: string }
    | { kind: "unlink"; file: string }
    | { kind: "sync"; file: string }
    | { kind: "reply"; line: string }
  );

type Untimed<T> = T extends Timed ? Omit<T, keyof Timed> : never;

/**
 * Every change to the database's files in a data directory, every sync of them and of the directory itself (""), every
 * reply, in order. Other files are left out: nothing that was acknowledged may depend on them.
 */
export async function readDiskRecord(traceFile: string, directory: string): Promise<DiskEvent[]> {
  return readTrace(traceFile, (name, args) => describe(name, args, directory));
}

function describe(name: string, args: string, directory: string): Untimed<DiskEvent> | null {
  const line = replyOf(args);
  if (line !== null) return { kind: "reply", line };
  const path = /^\d+<([^>]*)>/.exec(args)?.[1] ?? /"([^"]*)"/.exec(args)?.[1] ?? "";
  if (path !== directory && !path.startsWith(`${directory}/`)) return null;
  const file = path.slice(directory.length + 1);
  if (file !== "" && !file.startsWith(databaseName)) return null;
  if (name === "fsync" || name === "fdatasync") return { kind: "sync", file };
  if (name === "unlink") return { kind: "unlink", file };
  if (name === "openat") return args.includes("O_CREAT") ? { kind: "create", file } : null;
  if (name === "ftruncate") return { kind: "truncate", file, length: Number(/, (\d+)$/.exec(args)?.[1]) };
  const write = /^\d+<[^>]*>, "(.*)", (\d+), (\d+)$/.exec(args);
  if (name !== "pwrite64" || write === null) throw new Error(`a call nobody thought of: ${name} ${args.slice(0, 200)}`);
  const bytes = unescapeBytes(write[1] ?? "");
  if (bytes.length !== Number(write[2])) throw new Error(`${bytes.length} bytes read of ${write[2]}`);
  return { kind: "write", file, offset: Number(write[3]), bytes };
}
