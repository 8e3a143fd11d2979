import { join } from "node:path";
import type { Random } from "../support/random.ts";
import { ServiceProcess, type ServiceProcessOptions } from "../support/service-process.ts";
import { realDiskDirectory } from "../support/temporary-directory.ts";
import { noFindings, type Findings } from "./findings.ts";
import { settleResidents, type Resident } from "./household.ts";
import { Ledger, readLedger, type LedgerEntry } from "./ledger.ts";
import { Load, type OutgoingMail } from "./load.ts";
import { integrityFaults, listThroughApi, readBack, type ListedMail } from "./read-back.ts";
import { Subscriber } from "./subscriber.ts";
import { judge, type PushedMail } from "./verdict.ts";

export interface RigOptions {
  random: Random;
  /** Directory on the disk to test; see `realDiskDirectory`. */
  parent: string | undefined;
  /** The data directory, when it is not to be one in the rig's own directory. */
  dataDir?: string;
}

/** Connections of a load. */
export const manyConnections = 50;

/** One data directory, the people whose mail is in it, their subscribers, and the senders' book: what a fault is tried on. */
export class Rig implements AsyncDisposable {
  readonly dataDir: string;
  readonly random: Random;
  readonly residents: readonly Resident[];
  readonly ledger: Ledger;
  readonly #directory: { path: string } & Disposable;
  readonly #subscribers: readonly Subscriber[];
  /** Outlives each load, as a sender's queue outlives our crashes. */
  readonly #outbox: OutgoingMail[] = [];
  #hasSubscribed = false;

  private constructor(parts: {
    options: RigOptions;
    directory: { path: string } & Disposable;
    dataDir: string;
    residents: readonly Resident[];
  }) {
    this.random = parts.options.random;
    this.dataDir = parts.dataDir;
    this.residents = parts.residents;
    this.#directory = parts.directory;
    this.ledger = new Ledger(this.path("ledger"));
    this.#subscribers = this.residents.map((resident) => new Subscriber(resident));
  }

  static async make(options: RigOptions): Promise<Rig> {
    const directory = realDiskDirectory(options.parent);
    try {
      const dataDir = options.dataDir ?? join(directory.path, "data");
      const residents = await settleResidents(dataDir, ["ann", "bob"]);
      return new Rig({ options, directory, dataDir, residents });
    } catch (error) {
      directory[Symbol.dispose]();
      throw error;
    }
  }

  /** A path beside the data directory, gone with the rig. */
  path(name: string): string {
    return join(this.#directory.path, name);
  }

  /** Starts the server, or another one in its place, and lets the subscribers come back to it. */
  async serve(options: Omit<ServiceProcessOptions, "dataDir"> = {}): Promise<ServiceProcess> {
    const env = {
      CATMAILS_SMTP_MAX_CONNECTIONS_PER_IP: "1000",
      // All mail in files, most of it, what comes together by chance, and none.
      CATMAILS_RAW_FILES_FROM: this.random.pick(["1", "8KiB", "0"]),
      ...options.env,
    };
    const service = await ServiceProcess.start({ ...options, dataDir: this.dataDir, env });
    try {
      await this.#subscribe(service);
      return service;
    } catch (error) {
      await service.kill();
      throw error;
    }
  }

  load(service: ServiceProcess, connections = manyConnections): Load {
    return new Load({
      port: service.report.smtp.port,
      connections,
      addresses: this.residents.flatMap(({ addresses }) => [...addresses, ...addresses.map(addTag)]),
      unknownAddress: "nobody@mails.localhost",
      ledger: this.ledger,
      random: this.random,
      outbox: this.#outbox,
    });
  }

  /** SIGKILL; resolves once senders and subscribers have noticed. */
  async kill(service: ServiceProcess, load: Load): Promise<void> {
    await service.kill();
    await this.settle(load);
  }

  /** Ends the load of a server that is gone; resolves once the subscribers have noticed too. */
  async settle(load: Load): Promise<void> {
    await load.cut();
    await Promise.all(this.#subscribers.map((subscriber) => subscriber.gone()));
  }

  /** Starts a sound server on the data directory, reads everything back and judges. */
  async judge(): Promise<Findings> {
    this.ledger.sync();
    const entries = readLedger(this.ledger.path);
    const serve = (): Promise<ServiceProcess> => this.serve();
    const subscribers = this.#hasSubscribed ? this.#subscribers : null;
    const { dataDir, residents } = this;
    return judgeDirectory({ dataDir, residents, entries, serve, subscribers });
  }

  /** Judges another data directory of the same people, by another book. */
  async judgeCopy(dataDir: string, entries: ReadonlyMap<string, LedgerEntry>): Promise<Findings> {
    const { residents } = this;
    const serve = (): Promise<ServiceProcess> => ServiceProcess.start({ dataDir });
    return judgeDirectory({ dataDir, residents, entries, serve, subscribers: null });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const subscriber of this.#subscribers) subscriber[Symbol.dispose]();
    this.ledger[Symbol.dispose]();
    this.#directory[Symbol.dispose]();
  }

  async #subscribe(service: ServiceProcess): Promise<void> {
    const { websocket } = service.report;
    if (websocket === "") return;
    this.#hasSubscribed = true;
    await Promise.all(this.#subscribers.map((subscriber) => subscriber.connect(websocket)));
  }
}

interface Scene {
  dataDir: string;
  residents: readonly Resident[];
  entries: ReadonlyMap<string, LedgerEntry>;
  serve(): Promise<ServiceProcess>;
  /** They are connected by `serve`; `null`: nobody subscribed. */
  subscribers: readonly Subscriber[] | null;
}

async function judgeDirectory(scene: Scene): Promise<Findings> {
  const { dataDir, residents, entries, subscribers } = scene;
  const findings = noFindings();
  for (const { attempts } of entries.values()) {
    for (const { state } of attempts) findings[state === "begun" ? "refused" : state]++;
  }
  const listings: { resident: Resident; listed: ListedMail[] }[] = [];
  {
    await using service = await scene.serve();
    for (const resident of residents) {
      listings.push({ resident, listed: await listThroughApi(service.report.http, resident) });
    }
    if (subscribers !== null) {
      await Promise.all(subscribers.map((one, index) => one.sees(listings[index]?.listed.at(-1)?.id ?? 0)));
    }
    const code = await service.stop();
    if (code !== 0) findings.broken.push(`the server stopped with ${code}`);
  }
  const { found, faults } = await readBack(dataDir, listings);
  const pushed: PushedMail[] | null = subscribers?.flatMap((subscriber) => subscriber.pushed) ?? null;
  const { verdict, repeated } = judge({ ledger: entries, found, owners: ownersOf(residents), pushed });
  findings.broken.push(...faults, ...integrityFaults(dataDir));
  return { ...findings, found: found.length, pushed: pushed?.length ?? 0, verdict, repeated: repeated.length };
}

function ownersOf(residents: readonly Resident[]): Map<string, string> {
  return new Map(
    residents.flatMap(({ address, addresses }) =>
      addresses.flatMap((own) => [[own, address] as const, [addTag(own), address] as const]),
    ),
  );
}

function addTag(address: string): string {
  return address.replace("@", "+tag@");
}
