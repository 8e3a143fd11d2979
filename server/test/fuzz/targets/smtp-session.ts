import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { ByteBudget } from "../../../src/smtp/byte-budget.ts";
import { greeting } from "../../../src/smtp/replies.ts";
import { Session } from "../../../src/smtp/session.ts";
import { ReplyLinter } from "../../support/reply-linter.ts";
import { silentLog } from "../../support/silent-log.ts";
import { MemoryIntake, roomyLimits } from "../../support/smtp-door.ts";
import { piecesOf, splitsOf, type Target } from "../target.ts";
import { readMailSlowly } from "./smtp-data.ts";

const hostname = "mx.test";
const budgetBytes = 10_000;
const limits = { ...roomyLimits, maxMessageBytes: 500, maxRecipients: 3, maxLineBytes: 200, maxMails: 4, maxErrors: 6 };
const log = silentLog();

interface Dialog {
  replies: string[];
  mails: { from: string; to: string[]; raw: Buffer }[];
}

async function play(chunks: readonly Buffer[]): Promise<Dialog> {
  const intake = new MemoryIntake("demo@ours.example", "b@ours.example", "postmaster");
  const budget = new ByteBudget(budgetBytes);
  const session = new Session({
    hostname,
    limits,
    budget,
    spooling: null,
    patience: limits,
    surroundings: { intake, log, metrics: undefined, maxRecipients: limits.maxRecipients, visitor: null },
    remote: "192.0.2.1",
    encryption: null,
  });
  const replies: string[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length && !session.isOver; at = session.end) {
      const reply = session.read(chunk, at);
      assert.ok(session.end > at, "each read uses something");
      if (reply !== null) replies.push(typeof reply === "string" ? reply : await reply);
    }
  }
  if (!session.isOver) replies.push(session.expire("idle"));
  session.abandon();
  assert.ok(session.isOver && budget.fits(budgetBytes), "a session ends and holds nothing then");
  // The names of faults are random.
  return { replies: replies.map((reply) => reply.replace(/incident \w+/, "incident")), mails: intake.mails };
}

/** Every mail stands in the input after DATA of its own, behind the mail before, and ends where the obvious reader says. */
function checkMails(input: Buffer, { replies, mails }: Dialog): void {
  const said = replies.filter((reply) => reply.startsWith("250 2.0.0 receipt-"));
  assert.equal(mails.length, said.length, "a mail is taken exactly where 250 is said");
  let rest: string | null = input.toString("latin1");
  // What comes in by BDAT is the work of the target smtp-chunks.
  if (/bdat/i.test(rest)) return;
  for (const { to, raw } of mails) {
    assert.ok(to.length > 0 && to.length <= limits.maxRecipients && raw.length <= limits.maxMessageBytes);
    rest = restAfter(rest, raw.toString("latin1"));
    assert.ok(rest !== null, "a mail that nobody sent");
  }
}

function restAfter(text: string, content: string): string | null {
  for (const { 0: command, index } of text.matchAll(/(?<![^\n])data *\r\n/gi)) {
    const mail = readMailSlowly(text.slice(index + command.length), limits.maxMessageBytes);
    if (mail.kind === "mail" && mail.content === content) return mail.rest;
  }
  return null;
}

const envelope = "MAIL FROM:<s@there.example>\r\nRCPT TO:<demo@ours.example>\r\n";
const words = [
  "EHLO x\r\n",
  "HELO x\r\n",
  "MAIL FROM:<s@there.example>\r\n",
  "MAIL FROM:<s@there.example> SIZE=501\r\n",
  "MAIL FROM:<j\u00c3\u00b6rg@there.example> SMTPUTF8\r\n",
  "RCPT TO:<demo@ours.example>\r\n",
  "RCPT TO:<b@ours.example>\r\n",
  "RCPT TO:<postmaster>\r\n",
  "RCPT TO:<nobody@ours.example>\r\n",
  "RCPT TO:<broken@ours.example>\r\n",
  "RCPT TO:<quota@ours.example>\r\n",
  "DATA\r\n",
  "RSET\r\n",
  "NOOP\r\n",
  "VRFY x\r\n",
  "QUIT\r\n",
  "BDAT 3\r\n",
  "BDAT 3 LAST\r\n",
  "STARTTLS\r\n",
  "GET / HTTP/1.1\r\n",
  `${envelope}DATA\r\n`,
  "Subject: x\r\n",
  "..dot\r\n",
  ".\r\n",
  "\r\n.\r\n",
  "\r\n",
  "\n",
  "\r",
  "\n.\r\n",
  "x".repeat(100),
];

export const smtpSession: Target = {
  name: "smtp-session",
  promise: "a dialog says the same however its bytes are cut, takes no mail that was not sent, and ends",
  seeds: () => [
    `EHLO x\r\n${envelope}DATA\r\nSubject: x\r\n\r\n..one\r\n.\r\nQUIT\r\n`,
    `EHLO x\r\n${`${envelope}DATA\r\n.\r\n`.repeat(5)}`,
    `EHLO x\r\n${envelope}DATA\r\na\n.\r\nMAIL FROM:<smuggled@x>\r\nRCPT TO:<demo@ours.example>\r\nDATA\r\nb\r\n.\r\n`,
    `EHLO x\r\n${envelope}DATA\r\n${"x".repeat(600)}\r\n.\r\nNOOP\r\n`,
  ],
  words,
  structured: fc
    .tuple(fc.boolean(), piecesOf(words, 16))
    .map(([hello, rest]) => (hello ? Buffer.concat([Buffer.from(`EHLO x\r\n${envelope}`), rest]) : rest)),
  async check(input) {
    const whole = await play([Buffer.from(input)]);
    const linter = new ReplyLinter();
    for (const reply of [greeting(hostname), ...whole.replies]) linter.take(`${reply}\r\n`);
    checkMails(input, whole);
    for (const chunks of splitsOf(input)) {
      const cut = await play(chunks);
      if (!isDeepStrictEqual(cut, whole)) assert.deepEqual(cut, whole);
    }
  },
};
