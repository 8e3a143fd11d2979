import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { listProjectFiles, readProjectFile } from "./support/project-files.ts";
import { ReplyLinter } from "./support/reply-linter.ts";

const greeting = "220 mx.test ESMTP Cat Mails\r\n";

/** What may follow the greeting. */
const good: Record<string, string> = {
  "an answer to EHLO": "250-mx.test\r\n250-SIZE 1\r\n250 8BITMIME\r\n",
  "an answer to HELO": "250 mx.test\r\n",
  "a reply of one line": "250 2.1.5 Recipient OK\r\n",
  "a reply of several lines": "550-5.1.1 No\r\n550 5.1.1 such mailbox\r\n",
  "an intermediate reply": "354 End the mail with a dot\r\n",
  "STARTTLS and EHLO again": "220 2.0.0 Go ahead\r\n250 mx.test\r\n",
  "a line of 512 octets": `250 2.0.0 ${"x".repeat(500)}\r\n`,
  "a line that is cut off": "250 2.0",
};

/** Each is one violation, and what is said of it. */
const bad: Record<string, [transcript: string, why: RegExp]> = {
  "a bare LF": ["250 2.0.0 OK\n", /end with CRLF/],
  "a bare CR": ["250 2.0.0 OK\r250 2.0.0 OK\r\n", /end with CRLF/],
  "a bare LF in a reply": ["250 2.0.0 a\nb\r\n", /end with CRLF/],
  "a control character": ["250 2.0.0 a\tb\r\n", /printable ASCII/],
  "what is not ASCII": ["250 2.0.0 gr\u00fcn\r\n", /printable ASCII/],
  "a line of 513 octets": [`250 2.0.0 ${"x".repeat(501)}\r\n`, /513 octets/],
  "a line without an end": [`250 2.0.0 ${"x".repeat(600)}`, /without an end/],
  "an empty line": ["\r\n", /printable ASCII/],
  "no code": ["OK\r\n", /not a reply/],
  "a code of two digits": ["25 2.0.0 OK\r\n", /not a reply/],
  "a code of four digits": ["2500 2.0.0 OK\r\n", /not a reply/],
  "a code and text run together": ["250_2.0.0 OK\r\n", /not a reply/],
  "a code that is none": ["199 2.0.0 OK\r\n", /unknown code/],
  "a code that nobody defined": ["259 2.0.0 OK\r\n", /unknown code/],
  "no enhanced code": ["250 OK\r\n", /no enhanced code/],
  "a bare code": ["250\r\n", /no enhanced code/],
  "no enhanced code with another's name": ["250 mx.other\r\n", /no enhanced code/],
  "an enhanced code of another class": ["550 4.1.1 No such mailbox\r\n", /class/],
  "a final enhanced code for what is temporary": ["451 5.3.0 Our fault\r\n", /class/],
  "a good enhanced code for what is refused": ["554 2.0.0 No\r\n", /class/],
  "an enhanced code of class 3": ["250 3.0.0 OK\r\n", /no enhanced code/],
  "an enhanced code with a leading zero": ["250 2.0.01 OK\r\n", /no enhanced code/],
  "an enhanced code of an unknown subject": ["250 2.8.0 OK\r\n", /no enhanced code/],
  "an enhanced code of two numbers": ["250 2.0 OK\r\n", /no enhanced code/],
  "an enhanced code without text": ["250 2.0.0\r\n", /no text/],
  "an enhanced code in an intermediate reply": ["354 3.0.0 Go\r\n354 2.0.0 Go\r\n", /where none belongs/],
  "a second line of another code": ["250-2.0.0 a\r\n251 2.0.0 b\r\n", /one code/],
  "a second line of another enhanced code": ["250-2.0.0 a\r\n250 2.1.0 b\r\n", /one enhanced code/],
  "a second line without an enhanced code": ["550-5.1.1 a\r\n550 b\r\n", /no enhanced code/],
  "a keyword that is none": ["250-mx.test\r\n250 @SIZE\r\n", /keyword/],
  "a keyword after two spaces": ["250-mx.test\r\n250 SIZE  1\r\n", /keyword/],
};

/** What may not come first. */
const badStarts: Record<string, [transcript: string, why: RegExp]> = {
  "a greeting without a name": ["220 \r\n", /names the server/],
  "a greeting with an enhanced code": ["220 mx.test 2.0.0 Hello\r\n", /no enhanced code/],
  "a greeting that is an answer": ["250 2.0.0 OK\r\n", /no greeting/],
  "a refusal without an enhanced code": ["421 Too busy\r\n", /no enhanced code/],
};

/** At once, or octet by octet: what is found must not depend on how the bytes are cut. */
function lint(transcript: string, slowly = false): void {
  const linter = new ReplyLinter();
  if (slowly) for (const octet of transcript) linter.take(octet);
  else linter.take(Buffer.from(transcript, "latin1"));
}

describe("the linter of transcripts", () => {
  for (const [what, transcript] of Object.entries(good)) {
    test(`lets pass ${what}`, () => {
      lint(greeting + transcript);
      lint(greeting + transcript, true);
    });
  }
  test("lets pass a refusal in place of a greeting", () => lint("421 4.3.2 Too many connections, try again\r\n"));
  for (const [what, [transcript, why]] of Object.entries(bad)) {
    test(`catches ${what}`, () => {
      assert.throws(() => lint(greeting + transcript), { message: why });
      assert.throws(() => lint(greeting + transcript, true), { name: "AssertionError" });
    });
  }
  for (const [what, [transcript, why]] of Object.entries(badStarts)) {
    test(`catches ${what}`, () => assert.throws(() => lint(transcript), { message: why }));
  }
});

/** Files of the tests that open connections themselves and do not speak SMTP over them, or not with us. */
const otherTalkers: Readonly<Record<string, string>> = {
  "server/test/acme.test.ts": "the certificate of HTTPS",
  "server/test/client-hello.test.ts": "the first bytes of TLS",
  "server/test/faults/feed-socket.ts": "WebSocket",
  "server/test/http-arrival.test.ts": "HTTP",
  "server/test/http-envelope.test.ts": "HTTP",
  "server/test/http-unread.test.ts": "HTTP",
  "server/test/http-wait.test.ts": "HTTP",
  "server/test/https.test.ts": "HTTPS",
  "server/test/ingest-memory.test.ts": "HTTP",
  "server/test/ingest.test.ts": "HTTP",
  "server/test/smtp-direct-chunks.test.ts": "octets of no protocol",
  "server/test/smtp-drain.test.ts": "a connection that is refused",
  "server/test/socket-push.test.ts": "HTTP and WebSocket by hand",
  "server/test/support/api-client.ts": "HTTP",
  "server/test/support/naive-starttls.ts": "a server that is not ours",
  "server/test/support/postfix.ts": "hands mail to Postfix; what Postfix hears from us is tapped",
  "server/test/support/relay.ts": "an ACME authority's challenges",
  "server/test/support/socket-client.ts": "WebSocket",
  "server/test/tls-certificates.test.ts": "the certificate of a dialog that is watched",
  "server/test/tls-service.test.ts": "programs under TLS, whose dialogs nobody else can read",
};

/** Ways to reach an SMTP server: a socket of one's own, or a program that has one. */
const talks =
  /import \* as \w+ from "node:(?:net|tls)"|import \{[^}]*\b(?:connect|createConnection|TLSSocket|Socket as \w+)\b[^}]*\} from "node:(?:net|tls)"|createTransport\(|smtplib|"swaks"|smtp:\/\/|"smtp-source"/;

test("every dialog of every test is watched: whoever opens a connection hands what comes to the linter", () => {
  const files = listProjectFiles().filter((path) => /^server\/test\/.*\.ts$/.test(path));
  const talkers = files.filter((path) => talks.test(readProjectFile(path)));
  const unwatched = talkers.filter((path) => !/reply-(?:linter|tap)\.ts"/.test(readProjectFile(path)));
  assert.ok(talkers.includes("server/test/support/smtp-client.ts"), "the pattern finds those that it has to find");
  // One that speaks SMTP imports reply-linter.ts, or reply-tap.ts for a foreign program; any other has a row above.
  assert.deepEqual(unwatched.toSorted(), Object.keys(otherTalkers).toSorted());
});
