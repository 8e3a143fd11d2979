import assert from "node:assert/strict";
import { request } from "node:http";
import { test, type TestContext } from "node:test";
import { ServiceProcess } from "./support/service-process.ts";
import { directoryFor } from "./support/temporary-directory.ts";

/** Serves mails.example and answers what a host's policy is. */
async function serving(t: TestContext, env: Record<string, string>): Promise<(host: string) => Promise<string>> {
  const dataDir = directoryFor(t);
  const server = await ServiceProcess.start({ dataDir, env: { CATMAILS_DOMAIN: "mails.example", ...env } });
  t.after(() => server[Symbol.asyncDispose]());
  const { port } = new URL(server.report.http);
  return async (host) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const path = "/.well-known/mta-sts.txt";
    request({ host: "127.0.0.1", port, path, headers: { host }, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
      response.on("end", () => resolve(`${response.statusCode} ${response.headers["content-type"]} ${text}`));
    })
      .on("error", reject)
      .end();
    return await promise;
  };
}

test("the MTA-STS policy is served for served domains, on their policy host alone", async (t) => {
  const ask = await serving(t, {
    CATMAILS_MTA_STS_MODE: "enforce",
    CATMAILS_MTA_STS_MX: "mx1.mails.example, mx2.mails.example",
    CATMAILS_MTA_STS_MAX_AGE: "30d",
  });
  const policy =
    "version: STSv1\r\nmode: enforce\r\nmx: mx1.mails.example\r\nmx: mx2.mails.example\r\nmax_age: 2592000\r\n";
  assert.equal(await ask("mta-sts.mails.example"), `200 text/plain; charset=utf-8 ${policy}`);
  assert.match(await ask("MTA-STS.Mails.Example.:443"), /^200 /);
  for (const host of ["mails.example", "mta-sts.other.example", "mta-sts.", "127.0.0.1", "mta-sts.x.mails.example"]) {
    assert.match(await ask(host), /^404 /, host);
  }
});

test("there is no MTA-STS policy unless it is asked for", async (t) => {
  const ask = await serving(t, {});
  assert.match(await ask("mta-sts.mails.example"), /^404 /);
});

test("a policy can be taken back with mode none", async (t) => {
  const ask = await serving(t, { CATMAILS_MTA_STS_MODE: "none", CATMAILS_MTA_STS_MAX_AGE: "1d" });
  const policy = "version: STSv1\r\nmode: none\r\nmx: mails.example\r\nmax_age: 86400\r\n";
  assert.equal(await ask("mta-sts.mails.example"), `200 text/plain; charset=utf-8 ${policy}`);
});
