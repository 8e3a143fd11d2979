import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Command } from "commander";
import { checkAcme } from "./acme-check.ts";
import type { Config } from "../../config.ts";
import { messageOf } from "../../errors.ts";
import { Exit } from "../failure.ts";
import type { Finding } from "./finding.ts";
import { checkClock, checkDataDir, checkDisk, checkProgram } from "./machine-checks.ts";
import type { ListenAddress } from "../listen-address.ts";
import { examineMail, publicPorts } from "./mail-examination.ts";
import { checkHttpPort, checkSmtpPort } from "./network-checks.ts";
import { openSession, type Session } from "../session.ts";
import { oneLine } from "../text-table.ts";

/** `catmails doctor`: is everything there that a server needs, and does it answer? */
export function addDoctorCommand(program: Command): void {
  program
    .command("doctor")
    .description("check the machine, the data directory and the ports; exit 1 when something has to be mended")
    .option("--outbound <host>", "also try to reach this mail server on its port 25, or on host:port")
    .addHelpText(
      "after",
      `
For a domain of the public DNS it also looks at what senders see: MX, addresses, port 25, the certificate, MTA-STS, TLS
reports and DANE, and prints the records to publish. Give it the same flags, environment and configuration file as the server.

Examples:
  catmails doctor
  catmails doctor --domain example.org --dns-servers 9.9.9.9
  catmails doctor --json | jq '.[] | select(.verdict == "bad")'`,
    )
    .action(async ({ outbound }: { outbound?: string }, command: Command) => {
      const session = openSession(command);
      const findings = await examine(session, outbound === undefined ? null : parsePlace(outbound));
      await session.out.list(findings, {
        columns: ["VERDICT", "CHECK", "DETAIL"].map((title) => ({ title })),
        // Servers and zones of strangers have their say in it.
        row: ({ verdict, check, detail }) => [verdict, check, oneLine(detail, maxDetailChars)],
        whenEmpty: "",
      });
      if (findings.some(({ verdict }) => verdict === "bad")) throw new Exit(1);
    });
}

async function examine(session: Session, outbound: ListenAddress | null): Promise<Finding[]> {
  const { config } = session;
  const dataDir = checkDataDir(config.data_dir);
  const findings = [checkProgram(), dataDir.finding, checkDisk(config)];
  const running = dataDir.exists && dataDir.finding.verdict !== "bad" && (await isServing(config));
  findings.push({ check: "server", verdict: "good", detail: running ? "running" : "not running" });
  const store = dataDir.exists ? await checkStore(session) : null;
  if (store !== null) findings.push(store.finding);
  findings.push(checkClock(store?.sinceMs ?? 0));
  findings.push(
    await checkSmtpPort(config, { running }),
    await checkHttpPort(config, { running }),
    ...(await checkAcme(config)),
    ...(await examineMail(config, { running, outbound, domains: store?.domains ?? [config.domain] })),
  );
  return findings;
}

const maxDetailChars = 1000;

/** Domains that are looked at: the DNS is asked some ten questions for each. */
const maxDomains = 20;

function parsePlace(text: string): ListenAddress {
  if (isIP(text) !== 0) return { host: text, port: publicPorts.smtp };
  const [, host, port] = /^(?:\[?([^\]]+?)\]?)(?::(\d{1,5}))?$/.exec(text) ?? [];
  return { host: host ?? text, port: Number(port ?? publicPorts.smtp) };
}

async function isServing({ data_dir: dataDir }: Config): Promise<boolean> {
  const { acquireServeLock } = await import("../../store/sqlite/serve-lock.ts");
  using lock = acquireServeLock(dataDir);
  return lock === null;
}

interface StoreState {
  finding: Finding;
  sinceMs: number;
  /** `null`: not known. */
  domains: string[] | null;
}

async function checkStore({ config, log }: Session): Promise<StoreState> {
  try {
    const { databaseName, openSqliteStore } = await import("../../store/sqlite/sqlite-store.ts");
    if (!existsSync(join(config.data_dir, databaseName))) {
      const detail = "no database yet; the first start of the server makes it";
      return { finding: { check: "store", verdict: "note", detail }, sinceMs: 0, domains: null };
    }
    await using store = await openSqliteStore({ dataDir: config.data_dir, log });
    const { engine, schemaVersion, facts } = await store.check();
    const [first] = await store.listUsers({ afterId: 0, limit: 1 });
    const domains = await store.listDomains({ afterId: 0, limit: maxDomains });
    const parts = [`${engine}, schema ${schemaVersion}`, ...facts.map(({ name, value }) => `${name} ${value}`)];
    return {
      finding: { check: "store", verdict: "good", detail: parts.join(", ") },
      sinceMs: first?.createdAtMs ?? 0,
      domains: domains.length === 0 ? null : domains.map(({ name }) => name),
    };
  } catch (error) {
    return { finding: { check: "store", verdict: "bad", detail: messageOf(error) }, sinceMs: 0, domains: null };
  }
}
