import { distribution, type Distribution } from "./distribution.ts";
import { HttpConnection } from "./http-connection.ts";

export interface ListJob {
  kind: "list";
  /** Whole URL, with its key. */
  url: string;
  connections: number;
  seconds: number;
  /** Mails that every answer has to hold. */
  mails: number;
}

export interface ListResult {
  requests: number;
  seconds: number;
  responseMs: Distribution;
  /** Bytes of one answer's body. */
  bodyBytes: number;
}

/** Closed loop over kept connections: each asks again as soon as it has its answer. */
export async function runList(job: ListJob): Promise<ListResult> {
  const bodyBytes = await checkAnswer(job);
  const responseMs: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + job.seconds * 1000;
  const runLane = async (): Promise<void> => {
    using connection = new HttpConnection(new URL(job.url));
    while (performance.now() < endMs) {
      const sentMs = performance.now();
      const { status } = await connection.get();
      if (status !== 200) throw new Error(`Expected 200, got ${status}`);
      responseMs.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: job.connections }, runLane));
  const seconds = (performance.now() - startMs) / 1000;
  return { requests: responseMs.length, seconds, responseMs: distribution(responseMs), bodyBytes };
}

async function checkAnswer(job: ListJob): Promise<number> {
  const text = await (await fetch(job.url)).text();
  const { count } = JSON.parse(text) as { count?: number };
  if (count !== job.mails) throw new Error(`Expected ${job.mails} mails, got: ${text.slice(0, 200)}`);
  return Buffer.byteLength(text);
}
