import type { Connection } from "./connection.ts";
import { createDomain, removeDomain, updateDomain } from "./domain-changes.ts";
import { createKey, revokeKey } from "./key-changes.ts";
import { recordContents } from "./mail-changes.ts";
import { purge, trimMails } from "./mail-removal.ts";
import { createMailbox, deleteMailbox, expireMailboxes } from "./mailbox-changes.ts";
import { readRawFiles, reclaimRawFiles } from "./raw-file-changes.ts";
import { readSynchronous } from "./schema.ts";
import { addSenderRule, recordSenders, removeSenderRule } from "./sender-changes.ts";
import { createUser, removeUser } from "./user-changes.ts";

/** Every change but new mail, by its name in the store contract. Each runs whole or not at all. */
export const operations = {
  createUser,
  removeUser,
  createKey,
  revokeKey,
  createMailbox,
  deleteMailbox,
  createDomain,
  updateDomain,
  removeDomain,
  recordContents,
  recordSenders,
  addSenderRule,
  removeSenderRule,
  expireMailboxes,
  purge,
  trimMails,
  reclaimRawFiles,
  /** For the start of a server. */
  readRawFiles: (connection: Connection, _input: null) => readRawFiles(connection),
  /** For the store's check: answers only while the writer can begin a transaction. */
  readSynchronous: (connection: Connection, _input: null) => readSynchronous(connection),
};

export type Operations = typeof operations;
