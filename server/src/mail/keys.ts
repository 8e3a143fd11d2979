import { hash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import type { ApiKey, IngestReach, Store } from "../store/store.ts";

/** A key as it is made: `text` is shown once and kept nowhere. */
export interface MadeKey {
  text: string;
  publicId: string;
  hash: Uint8Array;
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const publicIdLength = 8;
// 43 characters of 62 hold more than 256 bits.
const secretLength = 43;
const checksumLength = 6;

/**
 * Makes an API key: `mk_`, a public id (8), a secret of 256 random bits (43), and a CRC-32 of what stands before it (6), all base 62.
 * The checksum lets a secret scanner recognize a key offline; it is not asked for when a key is used.
 */
export function makeKey(): MadeKey {
  const publicId = encodeBase62(randomBytes(6), publicIdLength).slice(-publicIdLength);
  const body = `mk_${publicId}${encodeBase62(randomBytes(32), secretLength)}`;
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(body));
  const text = body + encodeBase62(checksum, checksumLength);
  return { text, publicId, hash: hashKey(text) };
}

/** A key that the operator brought. Its public id comes from its hash, so that lists show no part of it. */
export function givenKeyOf(text: string): MadeKey {
  const digest = hashKey(text);
  return {
    text,
    publicId: encodeBase62(Buffer.from(digest.subarray(0, 5)), publicIdLength).slice(-publicIdLength),
    hash: digest,
  };
}

/** SHA-256 of a key: all that the store ever sees of it. */
export function hashKey(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

/** What a key may do and until when; all mailboxes of its user, managing and no end where left out. */
export interface KeyGrant {
  userId: number;
  mailboxIds?: readonly number[] | null;
  readOnly?: boolean;
  /** Makes it a key that only hands in mail. */
  ingest?: IngestReach | null;
  expiresAtMs?: number | null;
}

/** Stores a key for a user. Throws `key_taken` when it exists already. */
export function storeKey(store: Store, key: MadeKey, grant: KeyGrant & { nowMs: number }): Promise<ApiKey> {
  return store.createKey({
    userId: grant.userId,
    publicId: key.publicId,
    hash: key.hash,
    mailboxIds: grant.mailboxIds ?? null,
    readOnly: grant.readOnly ?? false,
    ingest: grant.ingest ?? null,
    expiresAtMs: grant.expiresAtMs ?? null,
    nowMs: grant.nowMs,
  });
}

function encodeBase62(bytes: Buffer, width: number): string {
  let value = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  while (value > 0n) {
    text = alphabet[Number(value % 62n)] + text;
    value /= 62n;
  }
  return text.padStart(width, "0");
}
