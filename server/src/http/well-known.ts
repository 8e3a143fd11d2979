import type { FastifyInstance } from "fastify";
import { parseDomain } from "../address.ts";
import { Refusal } from "../errors.ts";

/** What is answered below `/.well-known/`, without a key: authorities and mail servers ask for it. */
export interface WellKnown {
  /** What an ACME authority is to find for a token (RFC 8555 section 8.3); `null` for any that it was not just given. */
  readonly findChallenge: (token: string) => string | null;
  /** The MTA-STS policy of a domain (RFC 8461 section 3.2); `null` where there is none. */
  readonly findPolicy: (domain: string) => Promise<string | null>;
}

/** Where an ACME authority looks for a token. */
export const challengePath = "/.well-known/acme-challenge/";
const policyHost = "mta-sts.";

/** `/.well-known/acme-challenge/TOKEN` on every host, and `/.well-known/mta-sts.txt` on `mta-sts.DOMAIN`. */
export function serveWellKnown(app: FastifyInstance, { findChallenge, findPolicy }: WellKnown): void {
  app.get<{ Params: { token: string } }>(`${challengePath}:token`, (request, reply) => {
    const answer = findChallenge(request.params.token);
    if (answer === null) throw new Refusal("not_found");
    return reply.type("application/octet-stream").send(answer);
  });
  app.get("/.well-known/mta-sts.txt", async (request, reply) => {
    const host = parseDomain(request.hostname.replace(/\.$/, ""));
    const isPolicyHost = host !== null && host.startsWith(policyHost);
    const policy = isPolicyHost ? await findPolicy(host.slice(policyHost.length)) : null;
    if (policy === null) throw new Refusal("not_found");
    return await reply.type("text/plain; charset=utf-8").send(policy);
  });
}
