import { constants, readdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { NewMail } from "../store.ts";

/** Which raw mails lie in files, and in what files. */
export interface RawFileSizes {
  /** Mails that come together go into a file where they have so many bytes; fewer stay in the database. `Infinity`: all do. */
  fromBytes: number;
  /** One mail alone goes into a file where it has so many: it would wait longer for a sync of its own than many do for one of theirs. */
  aloneFromBytes: number;
  /** Size of a file as it is made, a multiple of 256 KiB. It is all of zeros then, so that mail that comes later changes nothing but its bytes. */
  fileBytes: number;
}

/** Long enough to hold some thousand mails, short enough that a server which is killed again and again wastes little. */
export const usualFileBytes = 32 * 1024 * 1024;
/** Mails that come together begin at a multiple of this, and what is written is as long as a multiple of it. */
export const blockBytes = 4096;
/** What is written at a time at most. */
export const stagingBytes = 1024 * 1024;

/** Where a raw mail lies in a raw file. */
export interface RawPlace {
  file: number;
  /** Offset of its first byte. */
  at: number;
}

/** A mail, and where its raw bytes lie already; without a place the database is to keep them. */
export interface PlacedMail {
  mail: NewMail;
  place?: RawPlace;
}

/** How a raw file is written: past the page cache, where the system knows how, so that no mail takes memory there for being stored. */
export const directFlag: number = constants.O_DIRECT ?? 0;

/** The part of the global of this name that is needed here; no other library declares it. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } };

/** Path of a raw file of a database. */
export function rawFilePath(database: string, id: number): string {
  return `${database}-raw-${id}`;
}

/** The ids of all raw files that lie beside a database, whether it knows of them or not. */
export function rawFilesBeside(database: string): number[] {
  const prefix = `${basename(database)}-raw-`;
  return readdirSync(dirname(database))
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,14}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)));
}

/**
 * So many bytes, all of them zero, that begin where a page of memory does, which writing past the page cache takes. Of all memory that
 * a program of Node can ask for only that of WebAssembly does for sure. Throws when there is none.
 */
export function pageAlignedBytes(bytes: number): Buffer {
  const pageBytes = 65_536;
  return Buffer.from(new WebAssembly.Memory({ initial: Math.ceil(bytes / pageBytes) }).buffer, 0, bytes);
}
