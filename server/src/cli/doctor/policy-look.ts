import { once } from "node:events";
import { request } from "node:https";
import type { IncomingMessage } from "node:http";

/** What a sender reads out of an MTA-STS policy (RFC 8461 section 3.2). */
export interface Policy {
  mode: string;
  /** Lower case, wildcards as `*.example.org`. */
  mx: string[];
}

const timeoutMs = 5_000;
const maxPolicyBytes = 64 * 1024;

/** Gets a policy host's policy as a sender would: from this address, by HTTPS with a certificate that is right, without redirects. Rejects with one line. */
export async function fetchPolicy(host: string, at: { address: string; port: number; ca?: string }): Promise<Policy> {
  const signal = AbortSignal.timeout(timeoutMs);
  const asking = request({
    host: at.address,
    port: at.port,
    servername: host,
    headers: { host },
    path: "/.well-known/mta-sts.txt",
    agent: false,
    signal,
    ...(at.ca === undefined ? {} : { ca: at.ca }),
  });
  asking.end();
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response as AsyncIterable<Buffer>) {
    text += chunk.toString("latin1");
    if (text.length > maxPolicyBytes) throw new Error("it is longer than 64 KiB");
  }
  if (response.statusCode !== 200) throw new Error(`the answer is ${response.statusCode}`);
  return parsePolicy(text);
}

function parsePolicy(text: string): Policy {
  const pairs = text.split(/\r?\n/).flatMap((line) => {
    const [, name, value] = /^(\w+): *(.*?) *$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [{ name, value }];
  });
  const valuesOf = (wanted: string): string[] => pairs.filter(({ name }) => name === wanted).map(({ value }) => value);
  const [version] = valuesOf("version");
  const [mode = ""] = valuesOf("mode");
  if (version !== "STSv1" || !["none", "testing", "enforce"].includes(mode)) throw new Error("it is no MTA-STS policy");
  if (!/^\d{1,10}$/.test(valuesOf("max_age")[0] ?? "")) throw new Error("it has no max_age");
  return { mode, mx: valuesOf("mx").map((name) => name.toLowerCase()) };
}
