import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { errorTable } from "../src/errors.ts";
import { settings } from "../src/settings.ts";
import { codeRows, namedPaths, settingFaults, translationFaults, type DocumentedSetting } from "./support/documents.ts";
import { listProjectFiles, projectRoot, readProjectFile } from "./support/project-files.ts";

const keys: DocumentedSetting[] = Object.entries(settings).map(([name, { fallback }]) => ({ name, fallback }));

/** Short names in the map are those of the server's source. */
const exists = (path: string): boolean =>
  existsSync(join(projectRoot, path)) || existsSync(join(projectRoot, "server/src", path));

describe("documents tell the truth", () => {
  for (const document of ["ARCHITECTURE.md", "AGENTS.md", "CONTRIBUTING.md", "SECURITY.md"]) {
    test(`every path that ${document} names exists`, () => {
      const named = namedPaths(readProjectFile(document));
      assert.ok(named.length > 0, "no path was found, so nothing was checked");
      assert.deepEqual(
        named.filter((path) => !exists(path)),
        [],
      );
    });
  }

  test("ARCHITECTURE.md leaves out no room, no hallway file and no top directory", () => {
    const map = readProjectFile("ARCHITECTURE.md");
    const rooms = listProjectFiles().flatMap((path) => /^server\/src\/(\w+\/|[\w-]+\.ts)/.exec(path)?.[1] ?? []);
    const tops = listProjectFiles().flatMap((path) => /^[a-z]+\//.exec(path)?.[0] ?? []);
    assert.deepEqual(
      [...new Set([...rooms, ...tops])].filter((name) => !map.includes(name)),
      [],
    );
  });

  test("both READMEs have the same headings and the same code", () => {
    assert.deepEqual(translationFaults(readProjectFile("README.md"), readProjectFile("README.zh-CN.md")), []);
  });

  for (const document of ["README.md", "README.zh-CN.md"]) {
    test(`${document} lists every configuration key with its default, and no other`, () => {
      assert.deepEqual(settingFaults(readProjectFile(document), keys), []);
    });
    test(`${document} names the two commands to set up and the one to test`, () => {
      const text = readProjectFile(document);
      assert.deepEqual(
        ["npm ci", "npm start", "npm test"].filter((command) => !text.includes(command)),
        [],
      );
    });
  }

  test("docs/errors.md is the error table, in its order", () => {
    const table = Object.values(errorTable).map(({ code, text, status }) => [code, text, String(status)]);
    assert.deepEqual(codeRows(readProjectFile("docs/errors.md"), 3), table);
  });

  test("decision records are numbered once each, without a gap", () => {
    const numbers = listProjectFiles().flatMap(
      (path) => /^docs\/decisions\/(\d{4})-[a-z0-9-]+\.md$/.exec(path)?.[1] ?? [],
    );
    assert.deepEqual(
      numbers.map(Number),
      numbers.map((_, index) => index + 1),
    );
  });

  test("the license is MIT, in the text and in every package", () => {
    assert.match(readProjectFile("LICENSE"), /^MIT License\n\nCopyright \(c\) \d{4} Cat Mails contributors\n/);
    for (const path of ["package.json", "server/package.json", "client/package.json", "web/package.json"]) {
      assert.match(readProjectFile(path), /"license": "MIT"/, path);
    }
  });
});

describe("a document that is not true is noticed", () => {
  test("a path that does not exist", () => {
    const named = namedPaths("See `server/src/nowhere.ts` and `smtp/`.\n\n```\nmail/nothing.ts  takes mail\n```\n");
    assert.deepEqual(named, ["mail/nothing.ts", "server/src/nowhere.ts", "smtp/"]);
    assert.deepEqual(
      named.filter((path) => !exists(path)),
      ["mail/nothing.ts", "server/src/nowhere.ts"],
    );
  });
  test("but a URL, an HTTP path and prose are no paths", () => {
    assert.deepEqual(namedPaths("and/or `GET /api/x` `http://a.test/b` `250 2.0.0` `@catmails/client` `ws://h/`"), []);
  });

  const readme = "# A\n\n## B\n\n```sh\nnpm ci # installs\n```\n\n| Key | Default |\n| --- | --- |\n| `a_b` | `1` |\n";
  const one = [{ name: "a_b", fallback: "1" }];
  test("a translation without one heading", () => {
    assert.equal(translationFaults(readme, readme.replace("## B\n", "")).length, 1);
  });
  test("a translation with another command", () => {
    assert.equal(translationFaults(readme, readme.replace("npm ci", "npm i")).length, 1);
  });
  test("but not one with another comment", () => {
    assert.deepEqual(translationFaults(readme, readme.replace("# installs", "# 安装")), []);
  });
  test("a key that is missing, unknown, there twice or has another default", () => {
    assert.deepEqual(settingFaults(readme, one), []);
    assert.deepEqual(settingFaults(readme.replace("`a_b`", "`CATMAILS_A_B`"), one), []);
    assert.equal(settingFaults(readme, [...one, { name: "c", fallback: null }]).length, 1);
    assert.equal(settingFaults(`${readme}| \`c\` | |\n`, one).length, 1);
    assert.equal(settingFaults(`${readme}| \`a_b\` | \`1\` |\n`, one).length, 1);
    assert.equal(settingFaults(readme, [{ name: "a_b", fallback: "2" }]).length, 1);
  });
  test("an error that the document has not", () => {
    const rows = codeRows("| Code | Error | Status | When |\n|---|---|---|---|\n| `a` | A | 400 | now |\n", 3);
    assert.deepEqual(rows, [["a", "A", "400"]]);
  });
});
