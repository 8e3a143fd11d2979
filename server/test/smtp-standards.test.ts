import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { outlineOf } from "./support/documents.ts";
import { projectRoot, readProjectFile } from "./support/project-files.ts";

/** One row of the tables of standards in docs/smtp.md. */
interface Clause {
  section: string;
  promise: string;
  proofs: string;
}

const head = ["section", "what we do", "shown by"];
const proof = /`([\w-]+\.test\.ts)`((?:,? "[^"]+")+)/g;
/** Of these the clause asks nothing that a test could show. */
const noProof = "none";

function clausesOf(markdown: string): Clause[] {
  return outlineOf(markdown)
    .tables.filter(([first]) => first?.join() === head.join())
    .flatMap(([, ...rows]) => rows.map(([section = "", promise = "", proofs = ""]) => ({ section, promise, proofs })));
}

/** Titles of the tests of a file, as they are written: `${…}` stays. */
function titlesOf(text: string): Set<string> {
  const title = /(?:\b(?:test|describe)\(\s*|\bpromise:\s*)(?:"((?:[^"\\]|\\.)+)"|`([^`]+)`)/g;
  return new Set(Array.from(text.matchAll(title), ([, plain, template]) => plain ?? template ?? ""));
}

/** What is wrong with a row. `read` gives a test file, or null where there is none. */
function faultsOf({ section, promise, proofs }: Clause, read: (file: string) => string | null): string[] {
  if (proofs === noProof) return [];
  const named = Array.from(proofs.matchAll(proof));
  const rest = proofs.replaceAll(proof, "").replaceAll(/[; ]/g, "");
  if (named.length === 0 || rest !== "" || promise === "") return [`${section}: no proof that can be read: ${proofs}`];
  return named.flatMap(([, file = "", list = ""]) => {
    const text = read(file);
    if (text === null) return [`${section}: there is no ${file}`];
    const titles = titlesOf(text);
    return Array.from(list.matchAll(/"([^"]+)"/g), ([, name = ""]) => name)
      .filter((name) => !titles.has(name))
      .map((name) => `${section}: ${file} has no test "${name}"`);
  });
}

function readTest(file: string): string | null {
  const path = join("server/test", file);
  return existsSync(join(projectRoot, path)) ? readProjectFile(path) : null;
}

const clauses = clausesOf(readProjectFile("docs/smtp.md"));

describe("docs/smtp.md says clause by clause what we do", () => {
  test("every test that a row names exists", () => {
    assert.ok(clauses.length > 50, `only ${clauses.length} rows were found`);
    assert.deepEqual(
      clauses.flatMap((clause) => faultsOf(clause, readTest)),
      [],
    );
  });

  test("no clause of RFC 5321 section 4 is left out", () => {
    const table = readProjectFile("docs/smtp.md").split("### RFC 5321, SMTP\n")[1]?.split("\n### ")[0] ?? "";
    const sections = clausesOf(table).map(({ section }) => section);
    const isCovered = (wanted: string): boolean => sections.some((section) => covers(section, wanted));
    assert.deepEqual(
      sectionsOf5321().filter((wanted) => !isCovered(wanted)),
      [],
    );
  });
});

/** Every section of chapter 4 that asks for something. */
function sectionsOf5321(): string[] {
  const numbered = (prefix: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${prefix}.${i + 1}`);
  return [
    ...numbered("4.1.1", 11),
    ...["4.1.2", "4.1.3", "4.1.4", "4.1.5"],
    ...numbered("4.2", 5),
    ...["4.3.1", "4.3.2", "4.4", "4.5.1", "4.5.2"],
    ...numbered("4.5.3.1", 10),
    ...numbered("4.5.3.2", 7),
    ...["4.5.4", "4.5.5"],
  ];
}

/** `4.2.2, 4.2.3` covers both, `4.5.3.2.1 to 4.5.3.2.6` all between, and words after a number say nothing. */
function covers(section: string, wanted: string): boolean {
  return section.split(",").some((one) => {
    const [from = "", to = from] = Array.from(one.matchAll(/\d+(?:\.\d+)+/g), ([number]) => number);
    const parent = from.slice(0, from.lastIndexOf("."));
    const last = (number: string): number => Number(number.slice(number.lastIndexOf(".") + 1));
    const isBetween = last(from) <= last(wanted) && last(wanted) <= last(to);
    return wanted.slice(0, wanted.lastIndexOf(".")) === parent && isBetween;
  });
}

describe("a row that is not true is noticed", () => {
  const read = (file: string): string | null =>
    file === "a.test.ts" ? 'test("one", () => {});\ntest(`two ${x}`);' : null;
  const rows: [what: string, proofs: string, faults: number][] = [
    ["a test that is there", '`a.test.ts` "one"', 0],
    ["two, one of them with many rows", '`a.test.ts` "one", "two ${x}"', 0],
    ["a test that is not there", '`a.test.ts` "one", "three"', 1],
    ["a file that is not there", '`b.test.ts` "one"', 1],
    ["no proof", "", 1],
    ["a proof that names no test", "`a.test.ts`", 1],
    ["words beside a proof", '`a.test.ts` "one" and more', 1],
    ["nothing to show", noProof, 0],
  ];
  for (const [what, proofs, faults] of rows) {
    test(what, () => assert.equal(faultsOf({ section: "1", promise: "x", proofs }, read).length, faults));
  }
  test("the numbers of a row", () => {
    assert.ok(covers("4.1.1.1 EHLO, HELO", "4.1.1.1") && covers("4.2.2, 4.2.3", "4.2.3"));
    assert.ok(covers("4.5.3.2.1 to 4.5.3.2.6", "4.5.3.2.4") && !covers("4.5.3.2.1 to 4.5.3.2.6", "4.5.3.2.7"));
    assert.ok(!covers("4.1.1", "4.1.1.1"));
  });
});
