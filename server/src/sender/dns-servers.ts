import { getServers } from "node:dns";
import { isIP } from "node:net";
import type { DnsServer } from "./dns-exchange.ts";

/** The servers of a `dns_servers` setting: `system`, or addresses with or without a port, separated by commas. */
export function dnsServersOf(setting: string): DnsServer[] {
  const texts = setting === "system" ? getServers() : setting.split(",");
  return texts.map(serverOf);
}

function serverOf(text: string): DnsServer {
  if (isIP(text) !== 0) return { host: text, port: 53 };
  const port = text.lastIndexOf(":");
  return { host: text.slice(0, port).replace(/^\[|\]$/g, ""), port: Number(text.slice(port + 1)) };
}
