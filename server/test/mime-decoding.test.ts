import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  decodePart,
  decodeText,
  fieldAddresses,
  fieldName,
  fieldText,
  indexMail,
  summarizeMail,
} from "../src/mime/mime.ts";

function encoded(encoding: string, body: string): { bytes: Buffer; defects: readonly string[] } {
  const raw = Buffer.from(
    `Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}`,
    "latin1",
  );
  return {
    bytes: decodePart(raw, indexMail(raw).root),
    defects: summarizeMail(
      Buffer.from(raw.toString("latin1").replace("application/octet-stream", "text/plain"), "latin1"),
    ).defects,
  };
}

describe("quoted-printable is read as RFC 2045 section 6.7 says, and errors are kept", () => {
  const cases: [body: string, text: string][] = [
    ["caf=C3=A9", "caf\u00c3\u00a9"],
    ["caf=c3=a9", "caf\u00c3\u00a9"],
    ["a=\r\nb", "ab"],
    ["a=\nb", "ab"],
    ["a= \t\r\nb", "ab"],
    ["a =\r\nb", "a b"],
    ["a  \r\nb\t\r\n", "a\r\nb\r\n"],
    ["a=20\r\nb", "a \r\nb"],
    ["a  ", "a"],
    ["100=", "100"],
    ["1=1=2", "1=1=2"],
    ["=ZZ=4", "=ZZ=4"],
    ["==41", "=A"],
    ["a=0D=0Ab", "a\r\nb"],
    ["a\rb", "a\rb"],
  ];
  for (const [body, text] of cases) {
    test(JSON.stringify(body), () => assert.equal(encoded("Quoted-Printable", body).bytes.toString("latin1"), text));
  }
});

describe("base64 is read with what RFC 2045 section 6.8 lets through", () => {
  const cases: [body: string, text: string][] = [
    ["SGVsbG8=", "Hello"],
    ["SGVs\r\nbG8=\r\n", "Hello"],
    ["  SGVs \r\n\tbG8=\r\n\r\n", "Hello"],
    ["SGVsbG8", "Hello"],
    ["SGVs\r\n!b*G-8_=", "Hello"],
    ["SGVsbG8= not this", "Hello"],
    ["SGVsbG8=\r\n-- \r\nlist footer", "Hello"],
    ["SGVs\r\nbG8=\r\nIHlvdQ==\r\n", "Hello you"],
    ["Your code is 482913.", "Your code is 482913."],
    ["", ""],
    ["====", "===="],
  ];
  for (const [body, text] of cases) {
    test(JSON.stringify(body), () => assert.equal(encoded("BASE64", body).bytes.toString("latin1"), text));
  }
});

test("uuencode is read between its begin and end", () => {
  const body = "intro\r\nbegin 644 a.txt\r\n%2&5L;&\\\r\n`\r\nend\r\noutro";
  assert.equal(encoded("x-uuencode", body).bytes.toString("latin1"), "Hello");
  assert.equal(encoded("x-uuencode", "begin 644 a\r\nM0\r\nend").bytes.length, 0);
});

test("identity encodings and their misspellings give the bytes as they are, unknown ones too", () => {
  for (const name of ["7bit", "8BIT", "binary", "7-bit", "8bits", '8bit ; x="y"', "8bit (comment)", ""]) {
    assert.deepEqual(encoded(name, "a=20\u00ff"), { bytes: Buffer.from("a=20\u00ff", "latin1"), defects: [] });
  }
  assert.deepEqual(encoded("x-own", "a=20").defects, ["unknown_encoding"]);
});

test("an attachment comes out byte for byte, whatever its bytes and encoding", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 5000 }),
      fc.constantFrom("base64", "quoted-printable", "binary"),
      (content, encoding) => {
        const bytes = Buffer.from(content);
        const body = { base64: wrapped(bytes), "quoted-printable": escaped(bytes), binary: bytes.toString("latin1") }[
          encoding
        ];
        const boundary = "=_nothing-random-has-this_=";
        const raw = Buffer.from(
          `Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n--${boundary}\r\nContent-Type: application/x-data; name=a.bin\r\n` +
            `Content-Transfer-Encoding: ${encoding}\r\n\r\n${body}\r\n--${boundary}--\r\n`,
          "latin1",
        );
        const [part] = indexMail(raw).attachments;
        assert.deepEqual(decodePart(raw, part!), bytes);
      },
    ),
  );
});

function wrapped(bytes: Buffer): string {
  return bytes.toString("base64").replace(/.{76}/g, "$&\r\n");
}

function escaped(bytes: Buffer): string {
  return [...bytes]
    .map((byte) => `=${byte.toString(16).padStart(2, "0")}`)
    .join("")
    .replace(/.{75}/g, "$&=\r\n");
}

function textIn(charset: string | null, bytes: Buffer): { text: string; defects: readonly string[] } {
  const parameter = charset === null ? "" : `; charset="${charset}"`;
  const raw = Buffer.concat([Buffer.from(`Content-Type: text/plain${parameter}\r\n\r\n`), bytes]);
  return { text: decodeText(raw, indexMail(raw).root), defects: summarizeMail(raw).defects };
}

describe("charsets", () => {
  const cases: [charset: string | null, hex: string, text: string][] = [
    ["utf-8", "c3a9f09f9880", "é😀"],
    ["UTF8", "efbbbfc3a9", "é"],
    ["utf-8", "c3", "\ufffd"],
    ["utf-8", "eda080", "\ufffd\ufffd\ufffd"],
    [null, "c3a9", "é"],
    [null, "e980", "é€"],
    ["us-ascii", "e9", "é"],
    ["iso-8859-1", "e9", "é"],
    ["latin1", "e9", "é"],
    ["iso-8859-15", "a4", "€"],
    ["iso-8859-2", "b1", "ą"],
    ["ISO_8859-7", "e1", "α"],
    ["windows-1252", "80", "€"],
    ["cp1251", "cfd0", "ПР"],
    ["koi8-r", "f0d2", "Пр"],
    ["koi8-u", "a4", "є"],
    ["gbk", "c4e3bac3", "你好"],
    ["GB2312", "c4e3bac3", "你好"],
    ["gb18030", "8139ee39", "㐀"],
    ["big5", "a741a66e", "你好"],
    ["shift_jis", "82b182f1", "こん"],
    ["iso-2022-jp", "1b2442244324731b2842", "っん"],
    ["euc-jp", "a4b3a4f3", "こん"],
    ["euc-kr", "bec8b3e7", "안녕"],
    ["ks_c_5601-1987", "bec8b3e7", "안녕"],
    ["utf-16", "feff00e9", "é"],
    ["utf-16", "fffee900", "é"],
    ["utf-16le", "e900", "é"],
    ["utf-16be", "00e9", "é"],
    ["utf-16le", "00d8", "\ufffd"],
    ["utf-7", Buffer.from("caf+AOk- 1 +- 1 +2D3eAA-").toString("hex"), "café 1 + 1 😀"],
    ["utf-7", Buffer.from("+2D0- a+b").toString("hex"), "\ufffd a"],
    ["cp437", "82", "é"],
    ["macintosh", "8e", "é"],
    ["iso-8859-8-i", "e0", "א"],
  ];
  for (const [charset, hex, text] of cases) {
    test(`${charset} ${hex}`, () => assert.deepEqual(textIn(charset, Buffer.from(hex, "hex")), { text, defects: [] }));
  }
  test("an unknown one is UTF-8 where it can be, else windows-1252, and a defect", () => {
    assert.deepEqual(textIn("x-own", Buffer.from("é")), { text: "é", defects: ["unknown_charset"] });
    assert.deepEqual(textIn("x-own", Buffer.from([0xe9])), { text: "é", defects: ["unknown_charset"] });
    assert.deepEqual(textIn("__proto__", Buffer.from("a")), { text: "a", defects: ["unknown_charset"] });
  });
  test("any bytes in any charset give well-formed text", () => {
    const charsets = fc.constantFrom(
      "utf-8",
      "utf-7",
      "utf-16",
      "utf-16be",
      "utf-32",
      "gb18030",
      "iso-2022-jp",
      "iso-2022-kr",
      "cp437",
      "x",
      "big5-hkscs",
      "hex",
      "base64",
    );
    fc.assert(
      fc.property(charsets, fc.uint8Array({ maxLength: 300 }), (charset, bytes) =>
        textIn(charset, Buffer.from(bytes)).text.isWellFormed(),
      ),
    );
  });
});

describe("file names, also in all the ways in which they are written wrong", () => {
  const cases: [header: string, filename: string | null][] = [
    ["Content-Disposition: attachment; filename=plain.txt", "plain.txt"],
    ['Content-Disposition: attachment; filename="with space.txt"', "with space.txt"],
    ['Content-Disposition: attachment; filename="a\\"b.txt"', 'a"b.txt'],
    ["Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.txt", "naïve.txt"],
    ['Content-Disposition: attachment; filename*0="long";\r\n filename*1="er.txt"', "longer.txt"],
    [
      "Content-Disposition: attachment; filename*0*=utf-8'en'%E4%BD%A0; filename*1*=%E5%A5%BD; filename*2=.txt",
      "你好.txt",
    ],
    ["Content-Disposition: attachment; filename=old.txt; filename*=iso-8859-1''caf%E9.txt", "café.txt"],
    ['Content-Disposition: attachment; filename="=?utf-8?q?na=C3=AFve=2Etxt?="', "naïve.txt"],
    [`Content-Disposition: attachment; filename="${Buffer.from("naïve.txt").toString("latin1")}"`, "naïve.txt"],
    ["Content-Type: application/pdf; name=fallback.pdf", "fallback.pdf"],
    ["Content-Disposition: attachment", null],
    ["Content-Disposition: attachment; filename=", null],
    ["Content-Disposition: attachment; filename=Invoice(1).pdf", "Invoice(1).pdf"],
  ];
  for (const [header, filename] of cases) {
    test(header, () => assert.equal(indexMail(Buffer.from(`${header}\r\n\r\n`, "latin1")).root.filename, filename));
  }
});

describe("a Content-Type says the same in all the ways in which it can be written", () => {
  const ways = [
    "text/plain; charset=utf-8; format=flowed; x=1",
    'text/plain; charset="utf-8"; format="flowed"; x="1"',
    "Text/Plain;CHARSET=utf-8;Format=Flowed;X=1",
    "text/plain;\r\n\tcharset=utf-8;\r\n  format=flowed; x=1",
    "text/plain ; charset=utf-8 ; format=flowed ;",
    "text/plain; charset=utf-8; charset=latin1; format=flowed; format=fixed",
    'text/plain (a; comment="x"); charset="ut\\f-8"; format=flowed',
    "text/plain; charset*=us-ascii''utf-8; format=flowed",
    "text/plain charset=utf-8; format=flowed",
    'text/plain; x="a;charset=latin1"; charset=utf-8; format=flowed; y=""',
  ];
  for (const way of ways) {
    test(way, () => {
      const { root, defects } = indexMail(Buffer.from(`Content-Type: ${way}\r\n\r\n`, "latin1"));
      assert.deepEqual([root.type, root.charset, root.flowed, defects], ["text/plain", "utf-8", true, []]);
    });
  }
  test("and of several fields the first counts, but of Content-Type the last with parameters", () => {
    const types = ["text/plain", "text/html; charset=koi8-r", "text/plain; charset=utf-8", "text/html"];
    const others = ["Content-Transfer-Encoding: Base64 x", "CONTENT-ID: <a>", "Content-Disposition: inline"];
    const fields = [...types.map((type) => `content-type: ${type}`), ...others, ...others.map((field) => `${field}y`)];
    const { root, defects } = indexMail(Buffer.from(`${fields.join("\r\n")}\r\n\r\n`));
    const { type, charset, encoding, contentId, disposition } = root;
    assert.deepEqual([type, charset, encoding], ["text/plain", "utf-8", "base64"]);
    assert.deepEqual([contentId, disposition, defects], ["a", "inline", ["repeated_content_type"]]);
  });
});

test("the index tells header, bodies and attachments of a mail", () => {
  const raw = Buffer.from(
    [
      "Subject: =?utf-8?q?=C3=A9?=",
      "To: =?utf-8?q?=C3=84nne?= <anne@example.com>, Team: bob@example.com;",
      "Content-Type: multipart/related; boundary=r",
      "",
      "--r",
      "Content-Type: multipart/alternative; boundary=a",
      "",
      "--a",
      "",
      "plain",
      "--a",
      "Content-Type: text/html",
      "",
      "<img src=cid:p>",
      "--a--",
      "--r",
      "Content-Type: image/png; name=p.png",
      "Content-ID: <p>",
      "Content-Disposition: inline",
      "Content-Transfer-Encoding: base64",
      "",
      "iVBORw==",
      "--r--",
      "",
    ].join("\r\n"),
  );
  const index = indexMail(raw);
  const [subject, to] = index.root.fields;
  assert.deepEqual([fieldName(raw, subject!), fieldText(raw, subject!)], ["Subject", "é"]);
  assert.deepEqual(fieldAddresses(raw, to!), [
    { name: "Änne", address: "anne@example.com" },
    { name: "", address: "bob@example.com" },
  ]);
  assert.deepEqual(
    index.text.map((part) => decodeText(raw, part)),
    ["plain"],
  );
  assert.deepEqual(
    index.html.map((part) => decodeText(raw, part)),
    ["<img src=cid:p>"],
  );
  const [picture] = index.attachments;
  assert.deepEqual(
    [
      index.attachments.length,
      picture!.type,
      picture!.filename,
      picture!.contentId,
      picture!.disposition,
      decodePart(raw, picture!).toString("hex"),
    ],
    [1, "image/png", "p.png", "p", "inline", "89504e47"],
  );
  assert.deepEqual(index.defects, []);
});
