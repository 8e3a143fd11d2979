import { connectionFault, probeSmtp, type SeenCertificate } from "./smtp-probe.ts";
import { tlsaFits } from "./dane.ts";
import type { DnsLook } from "./dns-look.ts";
import type { Finding } from "./finding.ts";
import { fetchPolicy, type Policy } from "./policy-look.ts";
import { systemCodeOf } from "../../errors.ts";
import type { ListenAddress } from "../listen-address.ts";
import { isoTime } from "../units.ts";

/** How the checks reach the world. */
export interface Reach {
  dns: DnsLook;
  /** Ports that other servers come to: 25 for mail, 443 for policies. */
  ports: { smtp: number; https: number };
  /** PEM of roots that are trusted in place of what Node trusts. */
  ca?: string;
}

type Judgement = Pick<Finding, "verdict" | "detail">;

const good = (detail: string): Judgement => ({ verdict: "good", detail });
const note = (detail: string): Judgement => ({ verdict: "note", detail });
const bad = (detail: string): Judgement => ({ verdict: "bad", detail });

/** Makes a finding of a check that asks the DNS, whatever becomes of it. */
async function judge(check: string, judging: Promise<Judgement>): Promise<Finding> {
  try {
    return { check, ...(await judging) };
  } catch (error) {
    return { check, ...note(`the DNS could not be asked (${systemCodeOf(error)})`) };
  }
}

/** Does mail for a domain come to this host? */
export function checkMx({ dns }: Reach, domain: string, hostname: string): Promise<Finding> {
  const judging = async (): Promise<Judgement> => {
    const names = await dns.mailServers(domain);
    if (names.length === 0) {
      const isOwn = domain === hostname;
      const instead = isOwn ? ", so senders use its addresses" : ", so no mail for it comes here";
      return note(`the DNS has no MX record for ${domain}${instead}`);
    }
    if (names.includes("")) return bad(`the DNS says that ${domain} takes no mail (RFC 7505)`);
    const goes = `mail for ${domain} goes to ${names.join(", ")}`;
    return names.includes(hostname) ? good(goes) : note(`${goes}, and not to ${hostname}`);
  };
  return judge("domain", judging());
}

/** Does the host's name have addresses of its own? */
export async function checkAddresses(
  { dns }: Reach,
  hostname: string,
): Promise<{ finding: Finding; addresses: string[] }> {
  let addresses: string[] = [];
  const judging = async (): Promise<Judgement> => {
    addresses = await dns.addresses(hostname);
    if (addresses.length === 0)
      return bad(`the DNS has no A or AAAA record for ${hostname}: nobody can send mail here`);
    const list = `${hostname} is ${addresses.join(", ")}`;
    if (await dns.isAlias(hostname)) return bad(`${list}, by a CNAME, which an MX must not be (RFC 5321 section 5.1)`);
    return good(list);
  };
  return { finding: await judge("address", judging()), addresses };
}

/** Addresses that are tried; nobody has more. */
const maxAddresses = 8;

/** Do we answer at the addresses that senders come to? Seen from this machine, which a firewall may treat in another way. */
export async function checkInbound(reach: Reach, hostname: string, addresses: readonly string[]): Promise<Finding[]> {
  return await Promise.all(
    addresses.slice(0, maxAddresses).map(async (host): Promise<Finding> => {
      const where = `${host} port ${reach.ports.smtp}`;
      try {
        const { name } = await probeSmtp({ host, port: reach.ports.smtp });
        const isOurs = name === hostname;
        return {
          check: "port 25 in",
          ...(isOurs
            ? good(`${where} answers as ${name}, seen from here`)
            : bad(`${where} answers as ${name}, not as ${hostname}`)),
        };
      } catch (error) {
        const detail = `${where}, seen from here: ${connectionFault(error)}. Try from outside too`;
        return { check: "port 25 in", ...note(detail) };
      }
    }),
  );
}

/** Can we reach somebody else's mail server? `null`: nobody was named. This server sends no mail, so nothing depends on it. */
export async function checkOutbound(at: ListenAddress | null): Promise<Finding> {
  const check = "port 25 out";
  if (at === null)
    return {
      check,
      ...note("not tried, and not needed to receive; --outbound HOST tries a mail server of your choice"),
    };
  try {
    const { name } = await probeSmtp(at);
    return { check, ...good(`${at.host} port ${at.port} answers as ${name}`) };
  } catch (error) {
    return {
      check,
      ...note(
        `${at.host} port ${at.port}: ${connectionFault(error)}. Hosters that close it often close it inwards as well`,
      ),
    };
  }
}

/** Would a sender that looks closely take our certificate for the host's name? */
export async function checkCertificate(
  { ca }: Reach,
  hostname: string,
  at: ListenAddress,
): Promise<{ finding: Finding; certificate: SeenCertificate | null }> {
  const finding = (judgement: Judgement): Finding => ({ check: "certificate", ...judgement });
  try {
    const { certificate } = await probeSmtp(at, { servername: hostname, ...(ca === undefined ? {} : { ca }) });
    const leaf = certificate?.chain[0];
    if (certificate === null || leaf === undefined) {
      return { finding: finding(note("none, so mail comes in plain; see docs/tls.md")), certificate: null };
    }
    const about = `for ${hostname}, until ${isoTime(leaf.validToDate.getTime())}`;
    const judged =
      certificate.fault === null ? good(about) : note(`${certificate.fault}: senders that look closely refuse it`);
    return { finding: finding(judged), certificate };
  } catch (error) {
    return { finding: finding(note(`could not be looked at: ${connectionFault(error)}`)), certificate: null };
  }
}

/** Do the records about MTA-STS, and the policy that they lead to, let senders in? `wanted`: it is turned on here. */
export function checkMtaSts(
  reach: Reach,
  domain: string,
  expected: { hostname: string; id: string | null },
): Promise<Finding> {
  const { dns, ports, ca } = reach;
  const judging = async (): Promise<Judgement> => {
    const records = await dns.texts(`_mta-sts.${domain}`, "v=STSv1");
    if (records.length === 0) {
      return note(
        expected.id === null ? `${domain} has none` : `it is on here, but _mta-sts.${domain} has no TXT record`,
      );
    }
    if (records.length > 1) return bad(`_mta-sts.${domain} has ${records.length} records; senders then look at none`);
    const host = `mta-sts.${domain}`;
    const [address] = await dns.addresses(host);
    if (address === undefined) return bad(`_mta-sts.${domain} announces a policy, but ${host} has no address`);
    let policy: Policy;
    try {
      policy = await fetchPolicy(host, { address, port: ports.https, ...(ca === undefined ? {} : { ca }) });
    } catch (error) {
      return bad(`the policy of ${host} cannot be had: ${connectionFault(error)}`);
    }
    const covers = policy.mx.some((name) => name === expected.hostname || matchesWildcard(name, expected.hostname));
    if (!covers && policy.mode !== "none") {
      const says = `the policy of ${domain} does not name ${expected.hostname}`;
      return policy.mode === "enforce" ? bad(`${says}: senders refuse to deliver`) : note(says);
    }
    const isOld = expected.id !== null && records[0]?.includes(`id=${expected.id}`) !== true;
    const mode = `${domain} has a policy of mode ${policy.mode}`;
    return isOld
      ? note(`${mode}; the id in its record is another than below, so senders may keep an old policy`)
      : good(mode);
  };
  return judge("mta-sts", judging());
}

/** Is there somebody to tell when TLS fails (RFC 8460)? */
export function checkReports({ dns }: Reach, domain: string): Promise<Finding> {
  const judging = async (): Promise<Judgement> => {
    const records = await dns.texts(`_smtp._tls.${domain}`, "v=TLSRPTv1");
    if (records.length === 0) return note(`${domain} asks for none`);
    const [record = ""] = records;
    const isRight = records.length === 1 && /;\s*rua=(?:mailto|https):/.test(record);
    return isRight ? good(record) : bad(`_smtp._tls.${domain} is no one record with a rua`);
  };
  return judge("tls reports", judging());
}

/** Do the TLSA records stand for our certificate? A wrong one keeps out every sender that knows DANE. */
export function checkDane({ dns }: Reach, hostname: string, certificate: SeenCertificate | null): Promise<Finding> {
  const judging = async (): Promise<Judgement> => {
    const name = `_25._tcp.${hostname}`;
    const records = await dns.tlsa(name);
    if (records.length === 0) return note(`${name} has no TLSA record`);
    if (certificate === null) return note(`${name} has ${records.length}; there is no certificate here to compare`);
    if (records.some((record) => tlsaFits(record, certificate.chain)))
      return good(`${name} stands for our certificate`);
    return bad(`${name} stands for another certificate: senders that know DANE refuse to deliver`);
  };
  return judge("dane", judging());
}

function matchesWildcard(pattern: string, name: string): boolean {
  return pattern.startsWith("*.") && name.replace(/^[^.]+/, "*") === pattern;
}
