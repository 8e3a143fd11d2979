import type { SmtpTarget } from "../smtp-lane.ts";
import type { PeerProcess } from "./peer-process.ts";

/** A mail server that is measured: ourselves, or one of those that we are compared with. */
export interface Peer {
  /** On the command line and in results. */
  name: string;
  /** In reports. */
  title: string;
  /** What differs from its defaults, for the report. */
  settings: string;
  /** Where an acknowledged mail is. */
  storage: Storage;
  /** What is left of acknowledged mail after a power cut. */
  keeps: string;
  /** A power cut leaves every acknowledged mail. The counted syncs have to agree. */
  isDurable: boolean;
  /**
   * Finds its program, and installs it where a registry has it. Rejects with {@link NotMeasured} when it cannot be run
   * here.
   */
  prepare(tools: PeerTools): Promise<PreparedPeer>;
}

export type Storage = "nowhere" | "memory" | "disk";

/** What a peer may need to get ready. */
export interface PeerTools {
  /** Packages are installed below it. */
  peersDir: string;
  signal: AbortSignal;
}

export interface PreparedPeer {
  version: string;
  /** Starts it anew with nothing stored; resolves once it greets. */
  start(options: PeerStart): Promise<RunningPeer>;
}

export interface PeerStart {
  /** Its own empty directory, on the disk that is measured. */
  dir: string;
  /** All of these take mail. */
  recipients: readonly string[];
  /** strace writes every sync of all its processes there; `null`: it runs untraced. */
  tracePath: string | null;
  signal: AbortSignal;
}

export interface RunningPeer extends AsyncDisposable {
  smtp: SmtpTarget;
  process: PeerProcess;
  /** Resolves when nothing is left to do for mails that were acknowledged; absent where nothing ever is. */
  settle?: () => Promise<void>;
  /** Absent where nothing can be read back. */
  stored?: StoredMails;
  /** A WebSocket that tells of every new mail, its subject included. */
  events?: string;
  /** A list of the newest 20 mails. */
  list?: string;
}

/** What a peer shows of its mails. */
export interface StoredMails {
  count(): Promise<number>;
  /** The raw bytes of so many mails or of all, in any order. */
  read(limit: number): AsyncIterable<Uint8Array>;
}
