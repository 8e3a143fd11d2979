import { join } from "node:path";
import { Attempts } from "../../acme/attempts.ts";
import type { Config } from "../../config.ts";
import { readCertificate } from "../../tls/certificate.ts";
import { ordersFileOf } from "../acme.ts";
import { ownDirectoryOf } from "../certificates.ts";
import type { Finding } from "./finding.ts";
import { isoTime } from "../units.ts";

/** What became of the orders for certificates: one finding for each name, none where ACME is off. */
export async function checkAcme(config: Config): Promise<Finding[]> {
  if (config.acme_domains === "off") return [];
  const attempts = await Attempts.open(ordersFileOf(config), config.acme_directory);
  return await Promise.all(
    config.acme_domains.split(",").map(async (name): Promise<Finding> => {
      const { failures, reason, notBeforeMs } = attempts.of(name);
      const directory = join(ownDirectoryOf(config), name);
      const files = { certFile: join(directory, "fullchain.pem"), keyFile: join(directory, "privkey.pem") };
      const kept = await readCertificate(files).catch(() => null);
      const has =
        kept === null ? `${name} has no certificate yet` : `${name} has one until ${isoTime(kept.expiresAtMs)}`;
      const next = `next try ${isoTime(notBeforeMs)}`;
      if (failures > 0 && reason !== "") {
        const detail = `${has}; the last order failed: ${reason.replace(/\.$/, "")}; ${next}`;
        return { check: "acme", verdict: "bad", detail };
      }
      if (failures > 0) {
        const detail = `${has}; an order is under way, or the server ended in the middle of it: ${next}`;
        return { check: "acme", verdict: "note", detail };
      }
      return { check: "acme", verdict: kept === null ? "note" : "good", detail: has };
    }),
  );
}
