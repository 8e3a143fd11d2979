/**
 * Decodes UTF-7 (RFC 2152), which neither the platform nor libmime does. Octets above ASCII are kept as Latin-1;
 * a broken shift sequence loses its odd bits only. The result is well-formed. Linear.
 */
export function decodeUtf7(text: string): string {
  return text
    .replace(/\+([A-Za-z0-9+/]*)-?/g, (_match, shifted: string) => (shifted === "" ? "+" : decodeShifted(shifted)))
    .toWellFormed();
}

function decodeShifted(base64: string): string {
  const bytes = Buffer.from(base64, "base64");
  const units = bytes.subarray(0, bytes.length - (bytes.length % 2));
  return units.swap16().toString("utf16le");
}
