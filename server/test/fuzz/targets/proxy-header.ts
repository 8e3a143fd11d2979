import { checkProxyHeader } from "../../support/proxy-check.ts";
import type { Target } from "../target.ts";

const signature = "\r\n\r\n\0\r\nQUIT\n";

export const proxyHeader: Target = {
  name: "proxy-header",
  promise: "a PROXY header says an address, is refused or waits for more, the same however it is cut",
  seeds: () => [
    "PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\nEHLO x\r\n",
    "PROXY TCP6 2001:db8::1 2001:db8::2 40000 25\r\n",
    "PROXY UNKNOWN\r\n",
    `${signature}\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x9c\x40\0\x19`,
    `${signature}\x20\0\0\0`,
    `${signature}\x21\x21\0\x24${"\x20".repeat(36)}`,
  ],
  words: [
    "PROXY ",
    "TCP4 ",
    "TCP6 ",
    "UNKNOWN",
    "192.0.2.1 ",
    "::1 ",
    "65535",
    "\r\n",
    signature,
    "\x21\x11",
    "\0",
    "\xff",
  ],
  maxBytes: 512,
  check(input) {
    for (const cut of [1, 12, 16, Math.floor(input.length / 2)]) checkProxyHeader(input, Math.min(cut, input.length));
  },
};
