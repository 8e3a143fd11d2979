import { setTimeout as delay } from "node:timers/promises";
import type { SeedPush } from "@catmails/client";
import { FeedSocket, type Cut } from "./feed-socket.ts";
import type { Random } from "../support/random.ts";

export interface CutSubscriberOptions {
  websocket: string;
  key: string;
  random: Random;
  /** How often it is cut off. */
  cuts: number;
  /** Mails until it has seen enough. */
  total: number;
  onCutsDone(): void;
}

const hows: readonly Cut[] = ["end", "reset", "close"];

/**
 * A program that follows a mailbox over a bad line: it is cut off again and again, at once or after some mails, and comes
 * back each time with the last id it saw. Answers what it was given, in that order.
 */
export async function followOverBadLine(options: CutSubscriberOptions): Promise<SeedPush[]> {
  const { random, total } = options;
  const seen: SeedPush[] = [];
  for (let cut = 0; cut < options.cuts; cut++) {
    const patience = Promise.withResolvers<void>();
    const most = seen.length + random.integer(0, 90);
    using socket = openSocket(options, seen, () => {
      if (seen.length >= most) patience.resolve();
    });
    // Some cuts hit the handshake.
    if (!random.chance(0.1)) await Promise.race([patience.promise, delay(random.integer(1, 60)), socket.ended]);
    socket.cut(random.pick(hows));
  }
  options.onCutsDone();
  const done = Promise.withResolvers<void>();
  using last = openSocket(options, seen, () => {
    if (seen.length >= total) done.resolve();
  });
  if (seen.length < total) await Promise.race([done.promise, last.ended]);
  return seen;
}

function openSocket(options: CutSubscriberOptions, seen: SeedPush[], onMail: () => void): FeedSocket {
  return new FeedSocket({
    websocket: options.websocket,
    query: { key: options.key, since: String(seen.at(-1)?.id ?? 0) },
    onMail: (push) => {
      seen.push(push);
      onMail();
    },
  });
}
