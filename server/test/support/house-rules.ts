import { posix } from "node:path";

/** One file to judge. Paths are relative to the project's root, with `/`. */
export interface SourceFile {
  path: string;
  text: string;
}

interface Import {
  /** As written; `null` when it is computed and nobody can tell. */
  target: string | null;
}

// The formatter puts every static import and export at the start of a line, which is what these rely on.
const staticImport =
  /^(?:import\s+(?:type\s+)?[\w*{}\s,$]+?\s+from|import|export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from)\s+(["'])([^"'\n]+)\1/gm;
const dynamicImport = /\bimport\(\s*(?:(["'])([^"'\n]+)\1)?/g;
const urlImport = /\bnew URL\(\s*(["'])([^"'\n]+\.[mc]?[jt]s)\1/g;

/** Everything a module loads: imports and re-exports, types as well, dynamic imports, and files given to `new URL`. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  return [staticImport, dynamicImport, urlImport].flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => ({ target: match[2] ?? null })),
  );
}

const source = "server/src/";
const hallway = "hallway";
const front = "main.ts";
const everything = "*";

/**
 * What each room may import besides itself and the hallway: a room, or one file as the face of a room. A room that is
 * not here is refused until somebody decides about it.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  [hallway]: [],
  [front]: [everything],
  cli: [everything],
  smtp: [],
  http: ["mail"],
  mail: ["mime/mime.ts", "sender/sender.ts", "store/store.ts"],
  mime: [],
  tls: [],
  sender: [],
  acme: [],
  store: [],
  "store/sqlite": ["store"],
};

/** Doors and commands speak the API's types; the rooms behind them do not know that there is an API. */
const clientReaders: ReadonlySet<string> = new Set(["http", "cli", front]);

/** Faults against the rooms' import rules in files of `server/src`. Type imports count: a wall has no window. */
export function roomFaults(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => path.startsWith(source) && path.endsWith(".ts"))
    .flatMap(({ path, text }) => importsOf(text).flatMap(({ target }) => importFault(path, target)));
}

function importFault(path: string, target: string | null): string[] {
  const from = roomOf(path);
  if (mayImport[from] === undefined) return [`${path}: room ${from} has no import rule`];
  if (target === null) return [`${path}: a computed import can be judged by nobody`];
  if (target === "node:sqlite" && from !== "store/sqlite") return [`${path}: only the SQLite engine knows node:sqlite`];
  if (target === "@catmails/client" && !clientReaders.has(from)) return [`${path}: ${from} does not know the client`];
  if (!target.startsWith(".")) return [];
  const file = posix.join(posix.dirname(path), target);
  return allows(from, file) ? [] : [`${path}: ${from} must not import ${file}`];
}

function allows(from: string, file: string): boolean {
  if (!file.startsWith(source)) return !/\.[mc]?[jt]s$/.test(file);
  const to = roomOf(file);
  if (to === front) return false;
  if (to === "cli") return from === front || from === "cli";
  if (to === from || to === hallway) return true;
  const allowed = mayImport[from] ?? [];
  return allowed.includes(everything) || allowed.includes(to) || allowed.includes(file.slice(source.length));
}

function roomOf(path: string): string {
  const parts = path.slice(source.length).split("/");
  if (parts.length === 1) return parts[0] === front ? front : hallway;
  return parts[0] === "store" && parts.length > 2 ? `store/${parts[1]}` : (parts[0] ?? hallway);
}

/** Faults of the packages beside the server: the client needs nothing at all, the UI talks through the client only. */
export function packageFaults(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const owner = /^(client|web)\/src\//.exec(path)?.[1];
    if (owner === undefined) return [];
    const allowed = (target: string | null): boolean =>
      target !== null &&
      (target.startsWith(".")
        ? posix.join(posix.dirname(path), target).startsWith(`${owner}/`)
        : owner === "web" && target === "@catmails/client");
    return importsOf(text)
      .filter(({ target }) => !allowed(target))
      .map(({ target }) => `${path}: ${owner} must not import ${target ?? "a computed path"}`);
  });
}

const faces: ReadonlySet<string> = new Set(
  Object.values(mayImport).flatMap((allowed) => allowed.filter((name) => name.endsWith(".ts"))),
);

/** A fault when a module does nothing but hand on what others export, unless it is the one face of its room. */
export function barrelFaults({ path, text }: SourceFile): string[] {
  if (path.startsWith(source) && faces.has(path.slice(source.length))) return [];
  const code = withoutComments(text);
  const rest = code.replace(/^(?:import|export)\s[^;]*?\sfrom\s+["'][^"'\n]+["'];?|^export\s*\{[^}]*\};?/gm, "");
  return /^export\b/m.test(code) && rest.trim() === "" ? [`${path}: only hands on the exports of others`] : [];
}

const kebab = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.[a-z]+$/;
const migration = /^\d{4}_[a-z0-9_]+\.sql$/;
const vague = new Set(["common", "core", "helper", "helpers", "manager", "misc", "shared", "types", "util", "utils"]);

/** Faults of a path below `server`, `client`, `web` or `bench`: names are kebab-case and say what is inside. */
export function nameFaults(path: string): string[] {
  const [top = "", ...rest] = path.split("/");
  if (!["server", "client", "web", "bench"].includes(top)) return [];
  const name = rest.at(-1) ?? "";
  const words = rest.flatMap((part) => part.split(/[-._]/));
  return [
    ...words.filter((word) => vague.has(word)).map((word) => `${path}: "${word}" says nothing about what is inside`),
    ...(/\.[mc]?[jt]s$/.test(name) && !kebab.test(name) ? [`${path}: name is not kebab-case`] : []),
    ...(name.endsWith(".sql") && !migration.test(name) ? [`${path}: a migration is named 0001_what_it_does.sql`] : []),
  ];
}

/** Faults of exported functions and classes that say nothing to their caller. */
export function docstringFaults({ path, text }: SourceFile): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, index) => {
    const name = /^export (?:async function\*?|function\*?|(?:abstract )?class) (\w+)/.exec(line)?.[1];
    return name === undefined || lines[index - 1]?.endsWith("*/") ? [] : [`${path}: ${name} has no docstring`];
  });
}

// Character classes of one letter keep these patterns from finding themselves.
const strayWords: readonly { pattern: RegExp; why: string }[] = [
  { pattern: /(?<![\w.])\/(?:wor[k]|roo[t]|hom[e]\/\w+|tm[p]\/\w+)\//, why: "a path of one machine" },
  { pattern: /registr[y]\.[a-z]+\.(?:org|com|dev|cn)\b|localhost:487[3]/, why: "a registry's host" },
  { pattern: /\bissues? #?\d+\b|(?<!\w)#\d+ (?:issue|ticket)/i, why: "a number in some tracker" },
  { pattern: /\bsub-?agents?\b|\bthe lead\b(?! byte)|\bsession of the project\b/i, why: "how we work" },
  { pattern: /\b(?:design|brief|common)\.m[d]\b/, why: "a paper that is not in the project" },
  { pattern: /\b(?:TOD[O]|FIXM[E]|XX[X])\b/, why: "work left over" },
];

/** Words that have no place in the project: machine paths, registry hosts, trackers, how we work, work left over. */
export function wordFaults({ path, text }: SourceFile): string[] {
  return text
    .split("\n")
    .flatMap((line, index) =>
      strayWords
        .filter(({ pattern }) => pattern.test(line))
        .map(({ pattern, why }) => `${path}:${index + 1}: ${pattern.exec(line)?.[0] ?? ""} is ${why}`),
    );
}

/** Only comments that begin a line: enough for formatted code, and it cannot mistake a string for a comment. */
function withoutComments(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
}
