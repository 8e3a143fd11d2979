import { randomBytes } from "node:crypto";

/** A mail that people really send, and how it has to read. */
export interface SenderMail {
  name: string;
  /** CRLF line ends, ends with one. */
  raw: Buffer;
  mailFrom: string;
  subject: string;
  /** Without white space around it, LF line ends. */
  content: string;
  /** Recipients; more than one are plus-addresses of the mailbox. */
  recipients: number;
}

/** Envelope sender of every mail. */
export const envelopeSender = "envelope@sender.example";
const author = "cat@sender.example";
const from = `From: A Cat <${author}>`;
const date = "Date: Mon, 02 Nov 2026 10:11:12 +0000";

// 你好，世界 and こんにちは, written out because Node only decodes these charsets.
const gbk = Buffer.from("c4e3bac3a3accac0bde7", "hex");
const iso2022jp = "\u001b$B$3$s$K$A$O\u001b(B";

/** All kinds that a sender has to get through. The attachment has random bytes, so no two runs send the same. */
export function senderMails(): SenderMail[] {
  const plain = { mailFrom: author, recipients: 1 };
  return [
    {
      ...plain,
      name: "text",
      raw: compose(
        [from, date, "Subject: Login code"],
        "Your code is 482913\r\n..leading dots\r\n.\r\nand the end\r\n",
      ),
      subject: "Login code",
      content: "Your code is 482913\n..leading dots\n.\nand the end",
    },
    {
      ...plain,
      name: "HTML only",
      raw: compose(
        [from, date, "Subject: Newsletter", "MIME-Version: 1.0", "Content-Type: text/html; charset=utf-8"],
        "<html><head><style>p { color: red }</style></head><body><p>Hello <b>caf&eacute;</b> &amp; cat</p></body></html>\r\n",
      ),
      subject: "Newsletter",
      content: "Hello café & cat",
    },
    {
      ...plain,
      name: "GBK",
      raw: compose(
        [from, date, `Subject: =?GBK?B?${gbk.toString("base64")}?=`, ...text("gbk", "8bit")],
        Buffer.concat([gbk, Buffer.from("\r\n")]),
      ),
      subject: "你好，世界",
      content: "你好，世界",
    },
    {
      ...plain,
      name: "ISO-2022-JP",
      raw: compose(
        [from, date, `Subject: =?ISO-2022-JP?B?${btoa(iso2022jp)}?=`, ...text("iso-2022-jp", "7bit")],
        `${iso2022jp}\r\n`,
      ),
      subject: "こんにちは",
      content: "こんにちは",
    },
    {
      ...plain,
      name: "emoji subject",
      raw: compose(
        [from, date, `Subject: =?UTF-8?B?${Buffer.from("🐱 hello 🐾").toString("base64")}?=`, ...text("utf-8", "8bit")],
        "🐱🐾\r\n",
      ),
      subject: "🐱 hello 🐾",
      content: "🐱🐾",
    },
    {
      ...plain,
      name: "quoted-printable",
      raw: compose(
        [from, date, "Subject: =?iso-8859-1?Q?Caf=E9_au_lait?=", ...text("utf-8", "quoted-printable")],
        "Caf=C3=A9 costs =E2=82=AC 5, 2 =3D 1 + 1, and this line is wrap=\r\nped.\r\n",
      ),
      subject: "Café au lait",
      content: "Café costs € 5, 2 = 1 + 1, and this line is wrapped.",
    },
    { ...plain, ...attachment() },
    {
      ...plain,
      name: "100 recipients",
      recipients: 100,
      raw: compose([from, date, "Subject: To all", "To: undisclosed-recipients:;"], "For everybody\r\n"),
      subject: "To all",
      content: "For everybody",
    },
    { ...plain, name: "no Date", raw: compose([from, "Subject: When"], "Now\r\n"), subject: "When", content: "Now" },
    {
      name: "no From",
      mailFrom: envelopeSender,
      recipients: 1,
      raw: compose([date, "Subject: Who"], "Me\r\n"),
      subject: "Who",
      content: "Me",
    },
  ];
}

function attachment(): Omit<SenderMail, "mailFrom" | "recipients"> {
  const encoded = randomBytes(10 * 1024 * 1024)
    .toString("base64")
    .replaceAll(/.{76}/g, "$&\r\n");
  const body = [
    "--edge",
    ...text("us-ascii", "7bit"),
    "",
    "See the file.",
    "--edge",
    "Content-Type: application/octet-stream",
    "Content-Disposition: attachment; filename=big.bin",
    "Content-Transfer-Encoding: base64",
    "",
    encoded,
    "--edge--",
    "",
  ].join("\r\n");
  const headers = [from, date, "Subject: 10 MB", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=edge"];
  return { name: "10 MB attachment", raw: compose(headers, body), subject: "10 MB", content: "See the file." };
}

function text(charset: string, encoding: string): string[] {
  return [
    "MIME-Version: 1.0",
    `Content-Type: text/plain; charset=${charset}`,
    `Content-Transfer-Encoding: ${encoding}`,
  ];
}

function compose(headers: readonly string[], body: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${headers.join("\r\n")}\r\n\r\n`), Buffer.from(body)]);
}
