import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chartsOf } from "./charts.ts";
import { figureTables } from "./figure-tables.ts";
import type { PeersResult } from "./result.ts";
import { pipeTable } from "./pipe-table.ts";
import { judgeTargets } from "./target.ts";

const begin = "<!-- peers -->";
const end = "<!-- end of peers -->";

/**
 * Writes the measured part of `benchmarks.md` in a directory, and its charts below `benchmarks/` there. What stands around
 * that part is kept; a page without it, or no page, gets it at its end. Answers the path of the page.
 */
export async function writeReport(result: PeersResult, dir: string): Promise<string> {
  const path = join(dir, "benchmarks.md");
  const chartsDir = join(dir, "benchmarks");
  const page = await readFile(path, "utf8").catch(() => "# Benchmarks\n");
  await rm(chartsDir, { recursive: true, force: true });
  await mkdir(chartsDir, { recursive: true });
  for (const { name, svg } of chartsOf(result)) await writeFile(join(chartsDir, `${name}.svg`), svg);
  await writeFile(path, placed(page, `${begin}\n\n${reportOf(result)}\n${end}`));
  return path;
}

/** The measured part as Markdown; charts are named relative to it. */
export function reportOf(result: PeersResult): string {
  const targets = judgeTargets(result).map(({ what, target, found, verdict }) => [what, target, found, verdict]);
  return paragraphs([
    "### The run",
    pipeTable([["", ""], ...Object.entries(result.facts)]),
    `\`\`\`sh\n${result.command}\n\`\`\``,
    "### Targets",
    "Rates are ours divided by the peer's, times the peer's by ours, of the medians of the rounds that both ended; in brackets the least and the greatest of one round.",
    pipeTable([["What", "Target", "Found", "Verdict"], ...targets]),
    "### Charts",
    ...chartsOf(result).map(({ name, title }) => `![${title}](benchmarks/${name}.svg)`),
    ...figureTables(result),
  ]);
}

function paragraphs(parts: readonly string[]): string {
  return parts.map((part) => `${part.trim()}\n`).join("\n");
}

function placed(page: string, part: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) return `${page.trimEnd()}\n\n${part}\n`;
  return page.slice(0, from) + part + page.slice(to + end.length);
}
