interface CodeBlock {
  language: string;
  lines: string[];
}

/** What two translations of one document must share. */
interface Outline {
  headingLevels: number[];
  codeBlocks: CodeBlock[];
  /** Cells of each table, row by row, without the rule under the head. */
  tables: string[][][];
  /** Lines outside code blocks. */
  prose: string[];
}

/** Reads the parts of a Markdown document that tests compare: ATX headings, fenced code, pipe tables. */
export function outlineOf(markdown: string): Outline {
  const outline: Outline = { headingLevels: [], codeBlocks: [], tables: [], prose: [] };
  let block: CodeBlock | null = null;
  let inTable = false;
  for (const line of markdown.split("\n")) {
    const fence = /^\s*```(\w*)/.exec(line);
    if (fence !== null) {
      if (block === null) outline.codeBlocks.push((block = { language: fence[1] ?? "", lines: [] }));
      else block = null;
      continue;
    }
    if (block !== null) {
      block.lines.push(line);
      continue;
    }
    outline.prose.push(line);
    const heading = /^(#{1,6}) /.exec(line);
    if (heading !== null) outline.headingLevels.push(heading[1]?.length ?? 0);
    const isRow = line.trimStart().startsWith("|");
    if (isRow && !inTable) outline.tables.push([]);
    if (isRow && !/^[\s|:-]+$/.test(line)) outline.tables.at(-1)?.push(cellsOf(line));
    inTable = isRow;
  }
  return outline;
}

function cellsOf(row: string): string[] {
  return row
    .trim()
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());
}

/** Differences between a document and its translation: headings, and code that is not the same but for its comments. */
export function translationFaults(original: string, translated: string): string[] {
  const [one, other] = [outlineOf(original), outlineOf(translated)];
  const faults: string[] = [];
  if (one.headingLevels.join() !== other.headingLevels.join())
    faults.push(`headings differ: levels ${one.headingLevels.join()} and ${other.headingLevels.join()}`);
  if (one.codeBlocks.length !== other.codeBlocks.length)
    faults.push(`${one.codeBlocks.length} code blocks, and ${other.codeBlocks.length} in the translation`);
  for (const [index, block] of one.codeBlocks.entries()) {
    const twin = other.codeBlocks[index];
    if (twin !== undefined && codeOf(block) !== codeOf(twin))
      faults.push(`code block ${index + 1} differs: ${codeOf(block)}`);
  }
  return faults;
}

function codeOf({ language, lines }: CodeBlock): string {
  const code = lines
    .map((line) => line.replace(/(?:^|\s+)(?:#|\/\/)(?:\s.*)?$/, "").trimEnd())
    .filter((line) => line !== "");
  return [language, ...code].join("\n");
}

/** What a document must say about one configuration key. */
export interface DocumentedSetting {
  /** Name of the key, as in `catmails.yaml`. */
  name: string;
  /** Its default as a person writes it; `null` when it has none. */
  fallback: string | null;
}

/**
 * Differences between the configuration tables of a document and the keys there are. A table counts as one of them
 * when its first column names a key, as `name` or as `CATMAILS_NAME`; its rows must then all be keys, with their default.
 */
export function settingFaults(markdown: string, settings: readonly DocumentedSetting[]): string[] {
  const byName = new Map(settings.map((setting) => [setting.name, setting]));
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const [, ...rows] of outlineOf(markdown).tables) {
    const named = rows.map((cells) => ({ name: settingName(cells[0] ?? ""), cells }));
    if (!named.some(({ name }) => byName.has(name))) continue;
    for (const { name, cells } of named) {
      const setting = byName.get(name);
      if (setting === undefined) faults.push(`${cells[0]} is no configuration key`);
      else if (seen.has(name)) faults.push(`${name} is listed twice`);
      else if (setting.fallback !== null && !cells.slice(1).includes(`\`${setting.fallback}\``))
        faults.push(`${name} needs a cell with its default, \`${setting.fallback}\``);
      seen.add(name);
    }
  }
  return [...faults, ...settings.filter(({ name }) => !seen.has(name)).map(({ name }) => `${name} is not listed`)];
}

function settingName(cell: string): string {
  return (/`(?:CATMAILS_)?(\w+)`/.exec(cell)?.[1] ?? "").toLowerCase();
}

/** Rows of every table of a document whose first cell is a code span, as the plain text of their first cells. */
export function codeRows(markdown: string, columns: number): string[][] {
  return outlineOf(markdown)
    .tables.flat()
    .filter((cells) => /^`[^`]+`$/.test(cells[0] ?? ""))
    .map((cells) => cells.slice(0, columns).map((cell) => cell.replace(/^`|`$/g, "")));
}

const path =
  /(?<![\w./@:-])(?:\.?[\w-][\w.-]*\/)+[\w.-]*|(?<![\w./@:-])\.?[\w-]+\.(?:ts|mjs|js|md|json|sql|html|yaml)\b/g;

/** Every path that a document names in code spans and code blocks, once each: with a slash, or with a source file's ending. */
export function namedPaths(markdown: string): string[] {
  const { codeBlocks, prose } = outlineOf(markdown);
  const spans = [...prose.join("\n").matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
  const code = [...codeBlocks.flatMap(({ lines }) => lines), ...spans];
  return [...new Set(code.flatMap((text) => text.match(path) ?? []))];
}
