/** What a client says before anything is encrypted (RFC 8446 section 4.1.2), as far as it matters to us. */
export interface ClientHello {
  /** Name of the server that it wants (RFC 6066 section 3), lower case. */
  serverName: string | null;
  /** Protocols that it offers (RFC 7301). */
  protocols: string[];
}

const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const protocolsExtension = 16;
/** Before the session id: headers of record and message, version, random. */
const sessionIdAt = 5 + 4 + 2 + 32;

/**
 * Reads a ClientHello that fits its first record; `null` for one that does not, and for anything else. Never throws, and
 * believes nothing but what it says: OpenSSL judges the same bytes afterwards.
 */
export function readClientHello(record: Buffer): ClientHello | null {
  if (record[0] !== handshakeRecord || record[5] !== clientHello) return null;
  try {
    return readExtensions(record);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function readExtensions(record: Buffer): ClientHello {
  const found: ClientHello = { serverName: null, protocols: [] };
  let at = sessionIdAt;
  at += 1 + record.readUInt8(at);
  at += 2 + record.readUInt16BE(at);
  at += 1 + record.readUInt8(at);
  // Clients without extensions are older than any that we speak to.
  const end = at + 2 + record.readUInt16BE(at);
  if (end > record.length) throw new RangeError("goes on in another record");
  for (at += 2; at < end; at += 4 + record.readUInt16BE(at + 2)) {
    const type = record.readUInt16BE(at);
    const body = record.subarray(at + 4, at + 4 + record.readUInt16BE(at + 2));
    if (type === serverNameExtension) found.serverName = readServerName(body);
    if (type === protocolsExtension) found.protocols = readProtocols(body);
  }
  return found;
}

/** A list that has had one entry, of type 0, ever since there was one. */
function readServerName(body: Buffer): string | null {
  if (body.readUInt8(2) !== 0) return null;
  return body.toString("latin1", 5, 5 + body.readUInt16BE(3)).toLowerCase();
}

function readProtocols(body: Buffer): string[] {
  const protocols: string[] = [];
  for (let at = 2; at < body.length; at += 1 + body.readUInt8(at)) {
    protocols.push(body.toString("latin1", at + 1, at + 1 + body.readUInt8(at)));
  }
  return protocols;
}
