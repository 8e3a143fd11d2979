import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { TLSSocket, type TLSSocketOptions } from "node:tls";

/**
 * A server that goes over to TLS as CVE-2011-0411 has it: what was read in plain and not yet answered is answered after
 * the handshake. The control of the tests that look for this.
 */
export async function openNaiveServer(options: TLSSocketOptions): Promise<AsyncDisposable & { port: number }> {
  const server = createServer((socket) => serve(socket, options));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

function serve(plain: Socket, options: TLSSocketOptions): void {
  let socket = plain;
  let unread = "";
  let hasSaidHello = false;
  const answer = (line: string): string => {
    if (line.startsWith("EHLO")) {
      hasSaidHello = true;
      return "250 naive";
    }
    if (line.startsWith("MAIL")) return hasSaidHello ? "250 2.1.0 OK" : "503 5.5.1 Say EHLO first";
    if (line.startsWith("QUIT")) return "221 2.0.0 Bye";
    return /^(?:RSET|NOOP)$/.test(line) ? "250 2.0.0 OK" : "500 5.5.1 Unknown command";
  };
  const read = (): void => {
    for (let end = unread.indexOf("\r\n"); end >= 0; end = unread.indexOf("\r\n")) {
      const line = unread.slice(0, end);
      unread = unread.slice(end + 2);
      if (line === "STARTTLS") return secure();
      socket.write(`${answer(line)}\r\n`);
    }
  };
  const take = (chunk: Buffer): void => {
    unread += chunk.toString("latin1");
    read();
  };
  const secure = (): void => {
    plain.write("220 2.0.0 Go\r\n");
    plain.off("data", take);
    hasSaidHello = false;
    socket = new TLSSocket(plain, { ...options, isServer: true });
    socket.on("error", () => undefined).on("data", take);
    socket.once("secure", read);
  };
  plain.on("error", () => undefined).on("data", take);
  plain.write("220 naive\r\n");
}
