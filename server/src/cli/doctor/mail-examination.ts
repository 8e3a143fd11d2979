import type { Config } from "../../config.ts";
import { DnsLook } from "./dns-look.ts";
import type { Finding } from "./finding.ts";
import { reachable, type ListenAddress } from "../listen-address.ts";
import {
  checkAddresses,
  checkCertificate,
  checkDane,
  checkInbound,
  checkMtaSts,
  checkMx,
  checkOutbound,
  checkReports,
  type Reach,
} from "./mail-checks.ts";
import { isLocalName } from "./network-checks.ts";
import { policyId, recordsToPublish } from "./records.ts";
import type { SeenCertificate } from "./smtp-probe.ts";

/** Where other servers come to. */
export const publicPorts = { smtp: 25, https: 443 };

export interface Examination {
  running: boolean;
  /** A mail server of somebody else to try; `null`: none. */
  outbound: ListenAddress | null;
  /** All that are served, local ones too. */
  domains: readonly string[];
  /** Left out: the public ports, the configured DNS, and the roots that Node trusts. */
  reach?: Partial<Reach>;
}

/** What senders of mail see of this server, and the records to publish for it. Domains that the public DNS never knows are passed over. */
export async function examineMail(config: Config, options: Examination): Promise<Finding[]> {
  const { running, outbound } = options;
  const hostname = config.smtp_hostname;
  const domains = options.domains.filter((domain) => !isLocalName(domain));
  if (domains.length === 0) {
    const detail = `${config.domain} is a local name; mail reaches it only on this machine`;
    return [{ check: "domain", verdict: "note", detail }];
  }
  const reach: Reach = { dns: new DnsLook(config.dns_servers), ports: publicPorts, ...options.reach };
  const { finding, addresses } = await checkAddresses(reach, hostname);
  const seen = running ? await checkCertificate(reach, hostname, reachable(smtpPlace(config))) : notRunning;
  const about = await Promise.all([
    ...domains.map((domain) => examineDomain(reach, domain, config)),
    checkInbound(reach, hostname, addresses),
    checkOutbound(outbound).then((found) => [found]),
    checkDane(reach, hostname, seen.certificate).then((found) => [found]),
  ]);
  const records = recordsToPublish(config, { domains, certificate: seen.certificate });
  return [
    finding,
    seen.finding,
    ...about.flat(),
    ...records.map((detail): Finding => ({ check: "publish", verdict: "note", detail })),
  ];
}

const notRunning: { finding: Finding; certificate: SeenCertificate | null } = {
  finding: {
    check: "certificate",
    verdict: "note",
    detail: "looked at, and its TLSA record printed, while the server runs",
  },
  certificate: null,
};

function smtpPlace({ smtp_host: host, smtp_port: port }: Config): ListenAddress {
  return { host, port };
}

async function examineDomain(reach: Reach, domain: string, config: Config): Promise<Finding[]> {
  const hostname = config.smtp_hostname;
  return await Promise.all([
    checkMx(reach, domain, hostname),
    checkMtaSts(reach, domain, { hostname, id: policyId(config) }),
    checkReports(reach, domain),
  ]);
}
