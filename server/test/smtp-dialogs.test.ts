import assert from "node:assert/strict";
import { test } from "node:test";
import type { SmtpLimits } from "../src/smtp/limits.ts";
import { SmtpClient } from "./support/smtp-client.ts";
import { MemoryIntake, openDoor } from "./support/smtp-door.ts";

interface Dialog {
  promise: string;
  limits?: Partial<SmtpLimits>;
  /** Lines `> ` are sent, lines `< ` are what the next reply line must start with, `<.` is the end of the connection. */
  dialog: string;
  /** Mails that must have been handed over: `from -> to,to: content`, with CRLF as `|`. */
  mails?: string[];
}

const hello = `
  < 220 mx.test ESMTP
  > EHLO client.example
  < 250-mx.test
  < 250-PIPELINING
  < 250-SIZE 26214400
  < 250-8BITMIME
  < 250-ENHANCEDSTATUSCODES
  < 250-CHUNKING
  < 250 SMTPUTF8`;

const mailTo = `${hello}
  > MAIL FROM:<s@there.example>
  < 250 2.1.0
  > RCPT TO:<demo@ours.example>
  < 250 2.1.5`;

const dialogs: Dialog[] = [
  {
    promise: "a mail goes in",
    dialog: `${mailTo}
      > DATA
      < 354
      > Subject: x
      >
      > one
      > .
      < 250 2.0.0 receipt-0
      > QUIT
      < 221 2.0.0
      <.`,
    mails: ["s@there.example -> demo@ours.example: Subject: x||one|"],
  },
  {
    promise: "commands and keywords are read in any case, with a space after the colon and trailing spaces",
    dialog: `
      < 220
      > ehLO x
      < 250-
      < 250-
      < 250-
      < 250-
      < 250-
      < 250-
      < 250 SMTPUTF8
      > mail from: <s@there.example> size=10 body=8bitmime\u0020\u0020
      < 250 2.1.0
      > rcpt To: <demo@ours.example>\u0020
      < 250 2.1.5
      > data\u0020
      < 354
      > .
      < 250 2.0.0
      > quit
      < 221 2.0.0
      <.`,
    mails: ["s@there.example -> demo@ours.example: "],
  },
  {
    promise: "HELO announces no extension and is enough to send",
    dialog: `
      < 220
      > HELO client.example
      < 250 mx.test
      > MAIL FROM:<>
      < 250 2.1.0
      > RCPT TO:<demo@ours.example>
      < 250 2.1.5
      > DATA
      < 354
      > ..dot
      > ...
      > .x
      > .
      < 250 2.0.0`,
    mails: [" -> demo@ours.example: .dot|..|x|"],
  },
  {
    promise: "VRFY says 252, HELP 214, NOOP 250, EXPN and other known commands 502, unknown ones 500",
    limits: { maxErrors: 20 },
    dialog: `
      < 220
      > VRFY demo
      < 252 2.0.0
      > VRFY
      < 501 5.5.4
      > HELP
      < 214 2.0.0
      > HELP MAIL
      < 214 2.0.0
      > NOOP
      < 250 2.0.0
      > NOOP what you like
      < 250 2.0.0
      > EXPN list
      < 502 5.5.1
      > AUTH PLAIN AGEAYg==
      < 502 5.5.1
      > STARTTLS
      < 502 5.5.1
      > TURN
      < 502 5.5.1
      > XCLIENT
      < 500 5.5.1
      > __proto__
      < 500 5.5.1
      >
      < 500 5.5.1`,
  },
  {
    promise: "the order of commands is kept: 503 for what comes too early or twice",
    limits: { maxErrors: 20 },
    dialog: `
      < 220
      > MAIL FROM:<s@there.example>
      < 503 5.5.1
      > RCPT TO:<demo@ours.example>
      < 503 5.5.1
      > DATA
      < 503 5.5.1
      > HELO x
      < 250 mx.test
      > RCPT TO:<demo@ours.example>
      < 503 5.5.1
      > DATA
      < 503 5.5.1
      > MAIL FROM:<s@there.example>
      < 250 2.1.0
      > MAIL FROM:<t@there.example>
      < 503 5.5.1
      > DATA
      < 554 5.5.1
      > RCPT TO:<nobody@ours.example>
      < 550 5.1.1
      > DATA
      < 554 5.5.1
      > RCPT TO:<demo@ours.example>
      < 250 2.1.5
      > DATA
      < 354
      > .
      < 250 2.0.0
      > DATA
      < 503 5.5.1`,
    mails: ["s@there.example -> demo@ours.example: "],
  },
  {
    promise: "RSET, EHLO and the end of a mail drop the envelope",
    dialog: `${mailTo}
      > RSET
      < 250 2.0.0
      > RCPT TO:<demo@ours.example>
      < 503 5.5.1
      > MAIL FROM:<s@there.example>
      < 250 2.1.0
      > HELO again
      < 250 mx.test
      > RCPT TO:<demo@ours.example>
      < 503 5.5.1`,
    mails: [],
  },
  {
    promise: "arguments are checked: none where none belongs, one where one does",
    limits: { maxErrors: 30 },
    dialog: `${hello}
      > EHLO
      < 501 5.5.4
      > HELO\u0020
      < 501 5.5.4
      > RSET now
      < 501 5.5.4
      > QUIT now
      < 501 5.5.4
      > MAIL
      < 501 5.5.4
      > MAIL TO:<s@there.example>
      < 501 5.5.4
      > MAIL FROM:s@there.example
      < 501 5.1.7
      > MAIL FROM:<s@there.example
      < 501 5.1.7
      > MAIL FROM:<s>
      < 501 5.1.7
      > MAIL FROM:<postmaster>
      < 501 5.1.7
      > MAIL FROM:<s@there.example>SIZE=1
      < 501 5.5.4
      > MAIL FROM:<s@there.example> SIZE=
      < 501 5.5.4
      > MAIL FROM:<s@there.example> SIZE
      < 501 5.5.4
      > MAIL FROM:<s@there.example> SIZE=-1
      < 501 5.5.4
      > MAIL FROM:<s@there.example> SIZE=1 SIZE=1
      < 501 5.5.4
      > MAIL FROM:<s@there.example> BODY
      < 501 5.5.4
      > MAIL FROM:<s@there.example> SMTPUTF8=yes
      < 501 5.5.4
      > MAIL FROM:<s@there.example> BODY=BINARYMIME
      < 555 5.5.4
      > MAIL FROM:<s@there.example> RET=FULL
      < 555 5.5.4
      > MAIL FROM:<s@there.example> AUTH=<>
      < 555 5.5.4
      > MAIL FROM:<s@there.example> SIZE=99999999999999999999
      < 552 5.3.4
      > MAIL FROM:<s@there.example> SIZE=26214401
      < 552 5.3.4
      > MAIL FROM:<s@there.example> SIZE=26214400 BODY=7BIT SMTPUTF8
      < 250 2.1.0
      > RCPT
      < 501 5.5.4
      > RCPT FROM:<demo@ours.example>
      < 501 5.5.4
      > RCPT TO:demo@ours.example
      < 501 5.1.3
      > RCPT TO:<>
      < 501 5.1.3
      > RCPT TO:<demo@ours.example> NOTIFY=NEVER
      < 555 5.5.4
      > DATA now
      < 501 5.5.4`,
  },
  {
    promise: "unknown mailboxes, foreign domains and full mailboxes are refused, each with its code",
    dialog: `${hello}
      > MAIL FROM:<s@there.example>
      < 250 2.1.0
      > RCPT TO:<nobody@ours.example>
      < 550 5.1.1
      > RCPT TO:<demo@elsewhere.example>
      < 550 5.7.1
      > RCPT TO:<quota@ours.example>
      < 452 4.2.2
      > RCPT TO:<broken@ours.example>
      < 451 4.3.0 Our fault, try again (incident
      > RSET
      < 250
      > MAIL FROM:<s@there.example> SIZE=5000
      < 250 2.1.0
      > RCPT TO:<quota@ours.example>
      < 552 5.2.2
      > DATA
      < 554 5.5.1`,
    mails: [],
  },
  {
    promise: "one mail box is one copy, whatever it is called",
    dialog: `${hello}
      > MAIL FROM:<S@There.Example>
      < 250 2.1.0
      > RCPT TO:<demo@ours.example>
      < 250 2.1.5
      > RCPT TO:<DEMO@Ours.Example>
      < 250 2.1.5
      > RCPT TO:<"demo"@ours.example>
      < 250 2.1.5
      > RCPT TO:<@relay.example,@[IPv6:::1]:demo@ours.example>
      < 250 2.1.5
      > RCPT TO:<POSTMASTER>
      < 250 2.1.5
      > DATA
      < 354
      > .
      < 250 2.0.0`,
    mails: ["s@there.example -> demo@ours.example,postmaster: "],
  },
  {
    promise: "quoted local parts may hold spaces, brackets and backslashes",
    dialog: `${hello}
      > MAIL FROM:<"a > b\\" c"@there.example> SIZE=1
      < 250 2.1.0
      > RCPT TO:<"> SIZE=1 "@ours.example>
      < 550 5.1.1
      > RCPT TO:<"demo@ours.example>
      < 501 5.1.3
      > RCPT TO:<@relay.example:>
      < 501 5.1.3
      > RCPT TO:<@:demo@ours.example>
      < 501 5.1.3
      > RCPT TO:<@relay.example demo@ours.example>
      < 501 5.1.3`,
  },
  {
    promise: "an address that is not ASCII needs SMTPUTF8",
    dialog: `${hello}
      > MAIL FROM:<jörg@there.example>
      < 553 5.6.7
      > MAIL FROM:<s@there.example>
      < 250 2.1.0
      > RCPT TO:<müller@ours.example>
      < 553 5.6.7
      > RSET
      < 250 2.0.0
      > MAIL FROM:<jörg@there.example> SMTPUTF8
      < 250 2.1.0
      > RCPT TO:<müller@ours.example>
      < 250 2.1.5
      > DATA
      < 354
      > ümlaut
      > .
      < 250 2.0.0`,
    mails: ["jörg@there.example -> müller@ours.example: ümlaut|"],
  },
  {
    promise: "a client that speaks HTTP is sent away, and nothing it sent after its first line is read",
    dialog: `
      < 220
      > POST / HTTP/1.1
      > EHLO client.example
      > MAIL FROM:<s@there.example>
      < 554 5.5.1
      <.`,
  },
];

for (const { promise, limits, dialog, mails } of dialogs) {
  test(promise, async () => {
    const intake = new MemoryIntake("demo@ours.example", "müller@ours.example", "postmaster");
    await using door = await openDoor(intake, limits === undefined ? {} : { limits });
    await using client = await SmtpClient.connect(door.address.port);
    await play(client, dialog);
    if (mails !== undefined) {
      const taken = intake.mails.map(
        (mail) => `${mail.from} -> ${mail.to.join(",")}: ${mail.raw.toString().replaceAll("\r\n", "|")}`,
      );
      assert.deepEqual(taken, mails);
    }
  });
}

async function play(client: SmtpClient, dialog: string): Promise<void> {
  const lines = dialog.split("\n").map((line) => line.trimStart());
  let pending: string[] = [];
  for (const line of lines) {
    if (line.startsWith(">")) await client.send(`${line.slice(2)}\r\n`);
    else if (line === "<.") await client.closed();
    else if (line.startsWith("<")) {
      if (pending.length === 0) pending = (await client.reply()).lines;
      const said = pending.shift();
      assert.ok(said?.startsWith(line.slice(2)), `expected "${line.slice(2)}", the server said "${said}"`);
    }
  }
  assert.deepEqual(pending, []);
}
