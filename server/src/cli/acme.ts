import { join } from "node:path";
import packageFile from "../../package.json" with { type: "json" };
import { alpnChallenges, type HttpChallenges } from "../acme/challenge-doors.ts";
import type { Config } from "../config.ts";
import type { WellKnown } from "../http/well-known.ts";
import type { Logger } from "../log.ts";
import type { Receiver } from "../mail/receive.ts";
import type { Certificates } from "../tls/certificates.ts";
import { ownDirectoryOf } from "./certificates.ts";
import { policyText } from "./mta-sts.ts";
import { challengePlace, explainHttp } from "./places.ts";

/** Below the data directory: accounts at authorities, and what became of orders. */
const accountDirectoryName = "acme";

/** Where it is kept what became of orders. */
export function ordersFileOf(config: Config): string {
  return join(config.data_dir, accountDirectoryName, "orders.json");
}

/** What `/.well-known/` answers, as it is configured. */
export function wellKnown(config: Config, parts: { challenges: HttpChallenges; receiver: Receiver }): WellKnown {
  const policy = policyText(config);
  return {
    findChallenge: (token) => parts.challenges.find(token),
    findPolicy: async (domain) => (policy !== null && (await parts.receiver.isServed(domain)) ? policy : null),
  };
}

/**
 * Starts to get certificates by ACME where that is on, and never waits for one. Throws `StartError` when the port of its own
 * that a setting wants cannot be had. The caller holds the lock of the data directory, so that nobody else does the same.
 */
export async function startAcme(
  config: Config,
  base: { certificates: Certificates; challenges: HttpChallenges; log: Logger; parts: AsyncDisposableStack },
): Promise<void> {
  if (config.acme_domains === "off") return;
  const { certificates, challenges, log, parts } = base;
  // Loaded only where it is on.
  const { Renewal } = await import("../acme/renewal.ts");
  const at = challengePlace(config);
  if (at !== null) {
    const { ChallengeListener } = await import("../http/challenge-listener.ts");
    const listening = ChallengeListener.listen({ ...at, findChallenge: (token) => challenges.find(token) });
    const { port } = parts.use(await explainHttp(config, listening));
    log.info({ host: at.host, port }, "Answering http-01 alone");
  }
  const isHttp = config.acme_challenge === "http-01";
  parts.use(
    Renewal.start({
      names: [...new Set(config.acme_domains.split(","))],
      directoryUrl: config.acme_directory,
      caFile: config.acme_ca,
      email: config.acme_email,
      accountDir: join(config.data_dir, accountDirectoryName),
      ordersFile: ordersFileOf(config),
      certificateDir: ownDirectoryOf(config),
      door: isHttp ? challenges : alpnChallenges((name, pair) => certificates.setChallenge(name, pair)),
      userAgent: `catmails/${packageFile.version}`,
      onRenewed: () => certificates.refresh(),
      log,
    }),
  );
}
