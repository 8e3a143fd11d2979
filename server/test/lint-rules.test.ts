import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { projectRoot } from "./support/project-files.ts";
import { TemporaryDirectory } from "./support/temporary-directory.ts";

const lines = (count: number, line: string): string => `${line}\n`.repeat(count);
const anyType = ["a", "ny"].join("");

/** Bad code, and the rule that has to see it. The project's own code shows that the rules let good code pass. */
const bad: Readonly<Record<string, { rule: string; text: string }>> = {
  "a file of 401 lines": { rule: "max-lines", text: `export const a = 1;\n${lines(400, "// line")}` },
  "a function of 81 lines": { rule: "max-lines-per-function", text: `export function a() {\n${lines(79, "")}}\n` },
  "five parameters": {
    rule: "max-params",
    text: "export const a = (b: 1, c: 1, d: 1, e: 1, f: 1) => b + c + d + e + f;",
  },
  "a default export": { rule: "no-default-export", text: "export default 1;" },
  "an import that goes round": {
    rule: "no-cycle",
    text: 'import type { Round } from "./round.ts";\nexport type A = Round;',
  },
  "a promise that nobody waits for": {
    rule: "no-floating-promises",
    text: "const go = async () => {};\nexport function a() {\n  go();\n}",
  },
  "a promise where nobody looks at it": {
    rule: "no-misused-promises",
    text: "const go = async () => {};\nexport const a = () => [1].forEach(async () => await go());",
  },
  "an await of what is no promise": { rule: "await-thenable", text: "export const a = async (b: number) => await b;" },
  "a rejection that slips past its catch": {
    rule: "return-await",
    text: "const go = async () => 1;\nexport async function a() {\n  try {\n    return go();\n  } catch {\n    return 0;\n  }\n}",
  },
  "a type that says nothing": { rule: "no-explicit-any", text: `export const a = (b: ${anyType}) => typeof b;` },
  "a word to the console": { rule: "no-console", text: 'console.log("a");' },
  "a loose comparison": { rule: "eqeqeq", text: "export const a = (b: string) => b == '1';" },
  "a name that nobody uses": { rule: "no-unused-vars", text: "const a = 1;\nexport const b = 2;" },
  "a case that is not there": {
    rule: "switch-exhaustiveness-check",
    text: 'export function a(b: "x" | "y") {\n  switch (b) {\n    case "x":\n      return 1;\n  }\n  return 2;\n}',
  },
};

describe("the linter sees", () => {
  const project = new TemporaryDirectory();
  const directory = project.path;
  let found: { code: string; filename: string }[] = [];
  const fileOf = (name: string): string => `${name.replaceAll(" ", "-")}.ts`;

  before(async () => {
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: "esnext",
      module: "nodenext",
      allowImportingTsExtensions: true,
      types: [],
    };
    await writeFile(join(directory, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    await writeFile(join(directory, "package.json"), '{ "type": "module" }');
    for (const [name, { text }] of Object.entries(bad)) await writeFile(join(directory, fileOf(name)), text);
    const round = `import type { A } from "./${fileOf("an import that goes round")}";\nexport type Round = A | 1;`;
    await writeFile(join(directory, "round.ts"), round);
    found = await lint(directory);
  });
  after(() => project[Symbol.dispose]());

  for (const [name, { rule }] of Object.entries(bad)) {
    test(name, () => {
      const seen = found.filter(({ filename }) => filename === fileOf(name)).map(({ code }) => code);
      assert.ok(
        seen.some((code) => code.endsWith(`(${rule})`)),
        `${rule} is not among: ${seen.join(", ")}`,
      );
    });
  }
});

async function lint(directory: string): Promise<{ code: string; filename: string }[]> {
  const linter = join(projectRoot, "node_modules/oxlint/bin/oxlint");
  const config = join(projectRoot, ".oxlintrc.json");
  const output = await new Promise<string>((resolve) => {
    // Findings make the linter exit 1, which is what is wanted here; anything worse is no JSON.
    execFile(process.execPath, [linter, "-c", config, "--format", "json", "."], { cwd: directory }, (_, out) =>
      resolve(out),
    );
  });
  const parsed = JSON.parse(output) as { diagnostics: { code: string; filename: string }[] };
  return parsed.diagnostics;
}
