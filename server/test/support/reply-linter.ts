import assert from "node:assert/strict";

/** RFC 5321 section 4.2.3, and those of RFC 3207 (454), RFC 4954 (235, 334, 530, 534, 535, 538) and RFC 7504 (521, 556). */
const knownCodes = new Set(
  (
    "211 214 220 221 235 250 251 252 334 354 421 450 451 452 454 455 500 501 502 503 504 " +
    "521 530 534 535 538 550 551 552 553 554 555 556"
  )
    .split(" ")
    .map(Number),
);
/** CRLF included (RFC 5321 section 4.5.3.1.5). */
const maxLineBytes = 512;
const line = /^(\d{3})(?:([ -])(.*))?$/;
/** RFC 2034 section 4: no leading zeros; the subjects are those of RFC 3463 section 3. */
const enhanced = /^([245]\.[0-7]\.(?:0|[1-9]\d{0,2}))(?: (\S.*))?$/;
const keyword = /^[A-Za-z0-9][A-Za-z0-9-]*(?: [\x21-\x7e]+)*$/;

interface OpenReply {
  code: string;
  /** Enhanced code that every line must carry; `null` where none belongs. */
  enhanced: string | null;
  /** The answer to EHLO, LHLO or HELO, whose lines are keywords. */
  isHello: boolean;
}

/**
 * Judges everything one SMTP or LMTP server says on one connection, as it arrives: lines end with CRLF and nothing else,
 * hold printable ASCII and at most 512 octets; codes are known; the lines of a reply agree (RFC 5321 section 4.2.1); an
 * enhanced code of the class of the reply stands wherever RFC 2034 wants one and nowhere else.
 *
 * One linter sees one connection from its greeting on, through STARTTLS too. A last line that is cut off is not judged.
 */
export class ReplyLinter {
  #rest = "";
  #hostname: string | null = null;
  #greeted = false;
  #reply: OpenReply | null = null;

  /** Takes what came next. Throws an AssertionError for the first fault. */
  take(chunk: string | Buffer): void {
    this.#rest += typeof chunk === "string" ? chunk : chunk.toString("latin1");
    for (let end = this.#rest.indexOf("\r\n"); end !== -1; end = this.#rest.indexOf("\r\n")) {
      const text = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + 2);
      this.#judgeLine(text);
    }
    assert.match(this.#rest, /^[\x20-\x7e]*\r?$/, "replies are printable ASCII and end with CRLF");
    assert.ok(this.#rest.length <= maxLineBytes, "a line of a reply without an end");
  }

  #judgeLine(text: string): void {
    assert.match(text, /^[\x20-\x7e]+$/, "replies are printable ASCII and end with CRLF");
    assert.ok(text.length + 2 <= maxLineBytes, `a line of ${text.length + 2} octets`);
    const [, code = "", separator = " ", rest = ""] = line.exec(text) ?? assert.fail(`not a reply: ${text}`);
    assert.ok(knownCodes.has(Number(code)), `an unknown code: ${text}`);
    if (this.#reply === null) this.#reply = this.#begin({ code, separator, rest });
    else this.#goOn(this.#reply, { code, rest });
    if (separator === " ") this.#reply = null;
  }

  #begin({ code, separator, rest }: { code: string; separator: string; rest: string }): OpenReply {
    const isFirst = !this.#greeted;
    this.#greeted = true;
    const [name = ""] = rest.split(" ", 1);
    if (isFirst && code === "220") {
      assert.match(name, /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[^\]]+\])$/, "a greeting names the server");
      assert.doesNotMatch(rest.slice(name.length).trim(), enhanced, "a greeting has no enhanced code");
      assert.equal(separator, " ", "a greeting of one line");
      this.#hostname = name;
      return { code, enhanced: null, isHello: false };
    }
    if (isFirst) assert.ok(code === "421" || code === "554" || code === "521", `${code} is no greeting`);
    if (code === "250" && this.#hostname !== null && name === this.#hostname) {
      return { code, enhanced: null, isHello: true };
    }
    return { code, enhanced: enhancedOf(code, rest), isHello: false };
  }

  #goOn(reply: OpenReply, { code, rest }: { code: string; rest: string }): void {
    assert.equal(code, reply.code, "the lines of a reply have one code");
    if (reply.isHello) assert.match(rest, keyword, "a line of the answer to EHLO is a keyword and its parameters");
    else assert.equal(enhancedOf(code, rest), reply.enhanced, "the lines of a reply have one enhanced code");
  }
}

function enhancedOf(code: string, rest: string): string | null {
  const match = enhanced.exec(rest);
  if (code.startsWith("3")) {
    assert.equal(match, null, `an enhanced code where none belongs: ${code} ${rest}`);
    return null;
  }
  assert.ok(match, `no enhanced code: ${code} ${rest}`);
  const [, found = "", text] = match;
  assert.equal(found[0], code[0], `the class of the enhanced code: ${code} ${rest}`);
  assert.ok(text !== undefined, `no text: ${code} ${rest}`);
  return found;
}
