import { createHash } from "node:crypto";
import { networkInterfaces } from "node:os";
import { BlockList, isIPv4 } from "node:net";
import type { Config } from "../../config.ts";
import { tlsaOf } from "./dane.ts";
import { policyText } from "../mta-sts.ts";
import type { SeenCertificate } from "./smtp-probe.ts";

/** The `id` of the MTA-STS record: another one for every policy. `null` where there is none. At most 32 characters (RFC 8461 section 3.1). */
export function policyId(config: Config): string | null {
  const text = policyText(config);
  return text === null ? null : createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Lines of a zone file that lead mail for these domains here. */
export function recordsToPublish(
  config: Config,
  { domains, certificate }: { domains: readonly string[]; certificate: SeenCertificate | null },
): string[] {
  const host = config.smtp_hostname;
  const id = policyId(config);
  const [leaf] = certificate?.chain ?? [];
  return [
    ...addressRecords(host),
    ...domains.flatMap((domain) => [
      `${domain}. MX 10 ${host}.`,
      ...(id === null ? [] : [`mta-sts.${domain}. CNAME ${host}.`, `_mta-sts.${domain}. TXT "v=STSv1; id=${id}"`]),
      `_smtp._tls.${domain}. TXT "v=TLSRPTv1; rua=mailto:postmaster@${domain}"`,
    ]),
    ...(leaf === undefined ? [] : [`_25._tcp.${host}. TLSA ${tlsaOf(leaf)} ; only in a zone that is signed (DNSSEC)`]),
  ];
}

function addressRecords(host: string): string[] {
  const own = publicAddresses();
  const records = own.map((address) => `${host}. ${isIPv4(address) ? "A" : "AAAA"} ${address}`);
  // Behind NAT no interface knows.
  return records.length > 0 ? records : [`${host}. A the public IPv4 address that leads here; AAAA for IPv6`];
}

function publicAddresses(): string[] {
  const inner = new BlockList();
  for (const [network, bits] of [
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.168.0.0", 16],
  ] as const) {
    inner.addSubnet(network, bits, "ipv4");
  }
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return all
    .filter(({ internal }) => !internal)
    .map(({ address }) => address)
    .filter((address) => (isIPv4(address) ? !inner.check(address) : /^[23]/.test(address)));
}
