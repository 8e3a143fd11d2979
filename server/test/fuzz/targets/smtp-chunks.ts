import { checkChunkDialog } from "../../support/chunk-check.ts";
import { piecesOf, type Target } from "../target.ts";

const envelope = "MAIL FROM:<a@b.example>\r\nRCPT TO:<demo@ours.example>\r\n";
const words = [
  envelope,
  "BDAT 0\r\n",
  "BDAT 0 LAST\r\n",
  "BDAT 3\r\nabc",
  "BDAT 3 LAST\r\nabc",
  "BDAT 2\r\n\r\n",
  "BDAT 1\r\n\r",
  "BDAT 61\r\n",
  "BDAT 99999999999999999999\r\n",
  "BDAT -1\r\n",
  "RCPT TO:<nobody@ours.example>\r\n",
  "DATA\r\n",
  "RSET\r\n",
  "NOOP\r\n",
  "\r\n.\r\n",
  "\r",
  "\n",
  "x".repeat(40),
];

export const smtpChunks: Target = {
  name: "smtp-chunks",
  promise: "chunks are as long as they say, whatever they hold and whatever is thought of them",
  seeds: () => [
    `${envelope}BDAT 5\r\na\r\nb\r\nBDAT 0 LAST\r\nNOOP\r\n`,
    `${envelope}BDAT 70\r\n${"x".repeat(70)}BDAT 1 LAST\r\nxRSET\r\n`,
    `BDAT 6\r\nRSET\r\n${envelope}BDAT 6 LAST\r\nQUIT\r\n`,
  ],
  words,
  maxBytes: 512,
  structured: piecesOf(words, 12),
  async check(input) {
    await checkChunkDialog(input, [1, 7, 30, 31, 64]);
  },
};
