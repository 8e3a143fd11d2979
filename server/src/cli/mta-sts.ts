import type { Config } from "../config.ts";

/** The MTA-STS policy (RFC 8461 section 3.2), which is the same for every domain; `null` when it is off. */
export function policyText(config: Config): string | null {
  if (config.mta_sts_mode === "off") return null;
  const lines = [
    "version: STSv1",
    `mode: ${config.mta_sts_mode}`,
    ...config.mta_sts_mx.split(",").map((name) => `mx: ${name}`),
    `max_age: ${Math.floor(config.mta_sts_max_age / 1000)}`,
  ];
  return lines.map((line) => `${line}\r\n`).join("");
}
