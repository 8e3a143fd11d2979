import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  barrelFaults,
  docstringFaults,
  importsOf,
  nameFaults,
  packageFaults,
  roomFaults,
  wordFaults,
  type SourceFile,
} from "./support/house-rules.ts";
import { listProjectFiles, readProjectFile } from "./support/project-files.ts";

const paths = listProjectFiles();
const isText = (path: string): boolean =>
  /\.(?:[mc]?[jt]s|md|json|ya?ml|sql|html|css|txt)$/.test(path) || /(?:^|\/)[^.]+$|^\.\w+$/.test(path);
const files: SourceFile[] = paths.filter(isText).map((path) => ({ path, text: readProjectFile(path) }));
const modules = files.filter(({ path }) => /\.[mc]?[jt]s$/.test(path));
const published = modules.filter(({ path }) => /^(?:server|client)\/src\//.test(path));

describe("the house is in order", () => {
  test("there are files to judge", () => {
    assert.ok(published.length > 10, `only ${published.length} modules found`);
  });
  test("rooms import only what they may", () => assert.deepEqual(roomFaults(modules), []));
  test("the client needs nothing and the UI only the client", () => assert.deepEqual(packageFaults(modules), []));
  test("no module only hands on the exports of others", () => assert.deepEqual(modules.flatMap(barrelFaults), []));
  test("names are kebab-case and say what is inside", () => assert.deepEqual(paths.flatMap(nameFaults), []));
  test("every exported function and class has a docstring", () => {
    assert.deepEqual(published.flatMap(docstringFaults), []);
  });
  test("no path of a machine, registry host or work left over is in any file", () => {
    assert.deepEqual(files.flatMap(wordFaults), []);
  });
});

describe("imports are found in every form", () => {
  const forms: readonly [string, string | null][] = [
    ['import { a } from "./a.ts";', "./a.ts"],
    ['import type {\n  A,\n  B,\n} from "./a.ts";', "./a.ts"],
    ['import a, { type B } from "./a.ts";', "./a.ts"],
    ['import * as a from "./a.ts";', "./a.ts"],
    ['import "./a.ts";', "./a.ts"],
    ['export { a } from "./a.ts";', "./a.ts"],
    ['export type { A } from "./a.ts";', "./a.ts"],
    ['export * from "./a.ts";', "./a.ts"],
    ['  const { a } = await import("./a.ts");', "./a.ts"],
    ['type A = import("./a.ts").A;', "./a.ts"],
    ["const a = await import(name);", null],
    ['new Worker(new URL("./a.ts", import.meta.url));', "./a.ts"],
  ];
  for (const [text, target] of forms) {
    test(text.replace(/\s+/g, " "), () => assert.deepEqual(importsOf(text), [{ target }]));
  }
  test("but not in comments", () => {
    assert.deepEqual(importsOf('/*\nimport "./a.ts";\n*/\n// import "./a.ts";\nexport const a = 1;'), []);
  });
});

describe("a wall that is broken is noticed", () => {
  const broken: readonly [string, string][] = [
    ["server/src/address.ts", "./store/store.ts"],
    ["server/src/smtp/session.ts", "../mail/receive.ts"],
    ["server/src/smtp/session.ts", "../http/server.ts"],
    ["server/src/http/server.ts", "../smtp/server.ts"],
    ["server/src/http/server.ts", "../store/store.ts"],
    ["server/src/mail/feed.ts", "../store/sqlite/engine.ts"],
    ["server/src/mail/feed.ts", "../mime/headers.ts"],
    ["server/src/mail/feed.ts", "../smtp/intake.ts"],
    ["server/src/mail/feed.ts", "@catmails/client"],
    ["server/src/mail/feed.ts", "node:sqlite"],
    ["server/src/mime/mime.ts", "../mail/feed.ts"],
    ["server/src/store/store.ts", "./sqlite/engine.ts"],
    ["server/src/store/sqlite/engine.ts", "../../mime/mime.ts"],
    ["server/src/cli/serve.ts", "../main.ts"],
    ["server/src/http/server.ts", "../cli/serve.ts"],
    ["server/src/http/server.ts", "../../../client/src/client.ts"],
    ["server/src/attic/box.ts", "../clock.ts"],
  ];
  for (const [path, target] of broken) {
    test(`${path} importing ${target}`, () => {
      assert.equal(roomFaults([{ path, text: `import type { A } from "${target}";` }]).length, 1);
    });
  }
  const whole: readonly [string, string][] = [
    ["server/src/main.ts", "./store/sqlite/engine.ts"],
    ["server/src/main.ts", "./cli/program.ts"],
    ["server/src/cli/mail.ts", "../store/sqlite/engine.ts"],
    ["server/src/smtp/session.ts", "../address.ts"],
    ["server/src/http/server.ts", "../mail/feed.ts"],
    ["server/src/http/server.ts", "@catmails/client"],
    ["server/src/http/server.ts", "fastify"],
    ["server/src/http/server.ts", "../../package.json"],
    ["server/src/mail/receive.ts", "../mime/mime.ts"],
    ["server/src/mail/receive.ts", "../store/store.ts"],
    ["server/src/store/sqlite/engine.ts", "../store.ts"],
    ["server/src/store/sqlite/engine.ts", "node:sqlite"],
  ];
  for (const [path, target] of whole) {
    test(`and ${path} may import ${target}`, () => {
      assert.deepEqual(roomFaults([{ path, text: `import { a } from "${target}";` }]), []);
    });
  }
  test("a computed import", () => {
    const text = "export const a = await import(process.argv[2]);";
    assert.equal(roomFaults([{ path: "server/src/mail/feed.ts", text }]).length, 1);
  });
  test("a client that needs a package, or a UI that reaches into the server", () => {
    const client = { path: "client/src/client.ts", text: 'import { readFile } from "node:fs";' };
    const web = { path: "web/src/app.ts", text: 'import { a } from "../../server/src/address.ts";' };
    assert.equal(packageFaults([client, web]).length, 2);
  });
});

describe("a fault in a file is noticed", () => {
  const barrels = [
    'export * from "./a.ts";',
    'export { a } from "./a.ts";',
    'import { a } from "./a.ts";\nexport { a };',
  ];
  for (const text of barrels) {
    test(`a barrel: ${text.replace("\n", " ")}`, () => assert.equal(barrelFaults({ path: "x.ts", text }).length, 1));
  }
  test("but the face of a room is a door in its wall", () => {
    assert.deepEqual(barrelFaults({ path: "server/src/mime/mime.ts", text: 'export { a } from "./a.ts";' }), []);
  });
  test("but a module that also does something is no barrel", () => {
    const text = 'import { a } from "./a.ts";\nexport type { A } from "./a.ts";\nexport const b = a + 1;';
    assert.deepEqual(barrelFaults({ path: "x.ts", text }), []);
  });

  const badNames = [
    "server/src/utils/x.ts",
    "server/src/mail/mail-helpers.ts",
    "client/src/MyClient.ts",
    "web/src/a_b.js",
  ];
  for (const path of [...badNames, "server/src/store/sqlite/migrations/first.sql"]) {
    test(`a name: ${path}`, () => assert.equal(nameFaults(path).length, 1));
  }
  test("but not good names", () => {
    const good = [
      "server/src/smtp/intake.ts",
      "server/test/smtp-dialogs.test.ts",
      "server/src/store/sqlite/migrations/0001_first.sql",
    ];
    assert.deepEqual(good.flatMap(nameFaults), []);
  });

  test("an export without a docstring", () => {
    const text = "/** Says. */\nexport function a() {}\n\nexport async function b() {}\nexport class C {}\n";
    assert.deepEqual(docstringFaults({ path: "x.ts", text }), ["x.ts: b has no docstring", "x.ts: C has no docstring"]);
  });

  // Put together here, so that this file itself stays clean.
  const stray = [
    "/wo|rk/main",
    "/ro|ot/x",
    "regis|try.npmjs.org",
    "see iss|ue 12",
    "the le|ad decides",
    "des|ign.md",
    "// TO|DO later",
  ];
  for (const parts of stray) {
    const text = parts.replace("|", "");
    test(`stray words: ${parts}`, () => assert.equal(wordFaults({ path: "x.ts", text }).length, 1));
  }
  test("but not words that only look alike", () => {
    const text =
      "an SMTP session, /livez, ../shared/corpora, the lead byte of UTF-8, agents, no issues, framework/main";
    assert.deepEqual(wordFaults({ path: "x.ts", text }), []);
  });
});
