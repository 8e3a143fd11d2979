import assert from "node:assert/strict";
import { ByteBudget } from "../../src/smtp/byte-budget.ts";
import { Session } from "../../src/smtp/session.ts";
import { silentLog } from "./silent-log.ts";
import { playSlowly, type ChunkDialog } from "./slow-chunks.ts";
import { MemoryIntake, roomyLimits } from "./smtp-door.ts";

const budgetBytes = 1000;
const maxMessageBytes = 60;
const limits = { ...roomyLimits, maxMessageBytes, maxErrors: Infinity, maxMails: Infinity };

/**
 * Fails unless a dialog with BDAT, whatever is sent after EHLO, goes as {@link playSlowly} says as far as that goes, and the
 * same sent whole, octet by octet and cut in these places. Gives back what that says.
 */
export async function checkChunkDialog(sent: Buffer, cuts: readonly number[]): Promise<ChunkDialog> {
  const { isLost, ...expected } = playSlowly(sent.toString("latin1"), maxMessageBytes);
  const whole = await play([Buffer.from(sent)]);
  const { codes, mails } = whole;
  assert.deepEqual(
    isLost ? { codes: codes.slice(0, expected.codes.length), mails: mails.slice(0, expected.mails.length) } : whole,
    expected,
  );
  for (const pieces of [cutAt(sent, cuts), Array.from(sent, (octet) => Buffer.of(octet))]) {
    assert.deepEqual(await play(pieces), whole);
  }
  return expected;
}

/** The real dialog behind EHLO; the pieces are what one read of the socket gives each. */
async function play(pieces: readonly Buffer[]): Promise<ChunkDialog> {
  const intake = new MemoryIntake("demo@ours.example");
  const budget = new ByteBudget(budgetBytes);
  const session = new Session({
    hostname: "mx.test",
    limits,
    budget,
    spooling: null,
    patience: limits,
    surroundings: { intake, log: silentLog(), metrics: undefined, maxRecipients: 100, visitor: null },
    remote: "192.0.2.1",
    encryption: null,
  });
  const replies: string[] = [];
  for (const piece of [Buffer.from("EHLO x\r\n"), ...pieces]) {
    for (let at = 0; at < piece.length && !session.isOver; at = session.end) {
      const reply = session.read(piece, at);
      assert.ok(session.end > at, "each read uses something");
      if (reply !== null) replies.push(typeof reply === "string" ? reply : await reply);
    }
  }
  session.abandon();
  assert.ok(budget.fits(budgetBytes), "everything was given back");
  return {
    codes: replies.slice(1).map((reply) => Number(reply.slice(0, 3))),
    mails: intake.mails.map(({ raw }) => raw.toString("latin1")),
  };
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((place, i) => Buffer.from(bytes.subarray(places[i], place)));
}
