import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WebSocket } from "ws";
import type { SeedPush } from "@catmails/client";
import { ServiceProcess } from "../support/service-process.ts";
import type { Resident } from "./household.ts";
import type { Ledger } from "./ledger.ts";
import { runLoad } from "./load.ts";
import type { Random } from "../support/random.ts";

export interface KillCycles {
  dataDir: string;
  /** In place of the real server; see `ServiceProcessOptions`. */
  entry?: string;
  kills: number;
  connections: number;
  residents: readonly Resident[];
  ledger: Ledger;
  random: Random;
  /** Told of each kill, for the record. */
  onKill(line: string): void;
}

/** A mail as it was pushed before a kill. */
export interface PushedMail {
  owner: string;
  id: number;
  token: string;
}

/** Starts the server, kills it at a random moment under load, and so on. Answers what subscribers were pushed. */
export async function runKillCycles(options: KillCycles): Promise<PushedMail[]> {
  const pushed: PushedMail[] = [];
  for (let kill = 1; kill <= options.kills; kill++) {
    const momentMs = options.random.integer(50, 700);
    const before = pushed.length;
    await runCycle(options, momentMs, pushed);
    // The database grows only when the log is copied back, so the sizes tell whether kills met a checkpoint.
    const bytes = statSync(join(options.dataDir, "catmails.db")).size;
    options.onKill(
      `kill ${kill} after ${momentMs} ms of load, ${pushed.length - before} mails pushed, database of ${bytes} bytes`,
    );
  }
  return pushed;
}

async function runCycle(options: KillCycles, momentMs: number, pushed: PushedMail[]): Promise<void> {
  const { dataDir, entry, residents } = options;
  await using service = await ServiceProcess.start({
    dataDir,
    env: { CATMAILS_SMTP_MAX_CONNECTIONS_PER_IP: "1000" },
    ...(entry === undefined ? {} : { entry }),
  });
  const sockets = service.report.websocket === "" ? [] : residents.map((resident) => subscribe(service, resident));
  for (const { socket, mails } of sockets) {
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    socket.on("message", (data: Buffer) => mails.push(JSON.parse(data.toString()) as SeedPush));
  }
  const load = runLoad({
    ...options,
    port: service.report.smtp.port,
    addresses: residents.flatMap(({ addresses }) => [...addresses, ...addresses.map(addTag)]),
    unknownAddress: "nobody@mails.localhost",
    signal: AbortSignal.timeout(momentMs + 60_000),
  });
  await delay(momentMs);
  if (service.hasExited) throw new Error(`the server ended by itself\n${service.log.join("\n")}`);
  const gone = sockets.map(({ socket }) => new Promise((resolve) => socket.once("close", resolve)));
  await service.kill();
  await Promise.all([load, ...gone]);
  for (const { owner, mails } of sockets) {
    for (const { id, subject } of mails) pushed.push({ owner, id, token: subject });
  }
}

function subscribe(
  service: ServiceProcess,
  { address, key }: Resident,
): { owner: string; socket: WebSocket; mails: SeedPush[] } {
  const socket = new WebSocket(`${service.report.websocket}?key=${key}`);
  // A killed server ends sockets the hard way.
  socket.on("error", () => undefined);
  return { owner: address, socket, mails: [] };
}

function addTag(address: string): string {
  return address.replace("@", "+tag@");
}
