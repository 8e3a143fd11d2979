import ipaddr from "ipaddr.js";
import { DnsError, type DnsResolver } from "./dns-resolver.ts";

/** How long the zones are waited for. Who has not answered by then says nothing. */
const patienceMs = 3000;

/**
 * Whether any of the zones lists a client (RFC 5782). Only an answer in 127.0.0.0/8 is a listing; 127.255.255.0/24 says that
 * the zone refused the question, and any other address that somebody answers for names that are not there. Never rejects:
 * a zone that does not answer lists nobody.
 */
export async function isListedIn(zones: readonly string[], ip: string, resolver: DnsResolver): Promise<boolean> {
  const label = labelsOf(ip);
  if (label === null) return false;
  const resolve = resolver.within({ deadlineMs: performance.now() + patienceMs, maxQuestions: zones.length });
  const answers = await Promise.all(
    zones.map(async (zone) => {
      try {
        return (await resolve(`${label}.${zone}`, "A")).some(isListing);
      } catch (error) {
        if (error instanceof DnsError) return false;
        throw error;
      }
    }),
  );
  return answers.includes(true);
}

function isListing(answer: unknown): boolean {
  return typeof answer === "string" && answer.startsWith("127.") && !answer.startsWith("127.255.255.");
}

/** RFC 5782 sections 2.1 and 2.4: the octets of an IPv4 address, or the nibbles of an IPv6 one, backwards. */
function labelsOf(ip: string): string | null {
  if (!ipaddr.isValid(ip)) return null;
  const address = ipaddr.process(ip);
  const bytes = address.toByteArray();
  if (address.kind() === "ipv4") return bytes.reverse().join(".");
  const nibbles = bytes.flatMap((byte) => [byte >> 4, byte & 15]);
  return nibbles
    .reverse()
    .map((nibble) => nibble.toString(16))
    .join(".");
}
