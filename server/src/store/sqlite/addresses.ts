import { Refusal } from "../../errors.ts";
import type { Connection } from "./connection.ts";
import { noteChange } from "./directory.ts";

export interface AddressClaim {
  address: string;
  /** `null`: a user that is being made. */
  userId: number | null;
  nowMs: number;
  takeReserved: boolean;
}

/**
 * Makes sure that an address may become a mailbox now, and drops what is left of an earlier one: its reservation, and
 * an expired temp mailbox that was not swept yet. Answers the id of its domain.
 * Throws `domain_unknown`, `address_taken`, `address_reserved`.
 */
export function claimAddress(connection: Connection, claim: AddressClaim): number {
  const name = claim.address.slice(claim.address.lastIndexOf("@") + 1);
  const domain = connection.get<{ id: number }>("SELECT id FROM domain WHERE name = ?", name);
  if (domain === undefined) throw new Refusal("domain_unknown");
  const mayTake = (userId: number): boolean => claim.takeReserved || userId === claim.userId;
  const holder = connection.get<{ id: number; user_id: number; expires_at: number | null }>(
    "SELECT id, user_id, expires_at FROM alias WHERE address = ? AND deleted_at IS NULL",
    claim.address,
  );
  if (holder !== undefined) {
    if (holder.expires_at === null || holder.expires_at > claim.nowMs) throw new Refusal("address_taken");
    // It will be reserved for its user as soon as somebody sweeps it, so it is treated as reserved already.
    if (!mayTake(holder.user_id)) throw new Refusal("address_reserved");
    giveUpMailbox(connection, { id: holder.id, userId: holder.user_id, nowMs: claim.nowMs, reserveUntilMs: null });
  }
  const reserved = connection.get<{ user_id: number; until: number | null }>(
    "SELECT user_id, until FROM reserved_address WHERE address = ?",
    claim.address,
  );
  if (reserved !== undefined) {
    const isOver = reserved.until !== null && reserved.until <= claim.nowMs;
    if (!isOver && !mayTake(reserved.user_id)) throw new Refusal("address_reserved");
    connection.change("DELETE FROM reserved_address WHERE address = ?", claim.address);
  }
  return domain.id;
}

/**
 * Deletes a mailbox that is not deleted yet: takes it out of every key's scope and every catch-all, and reserves its
 * address until then (`null`, and random names: for ever). Its mails stay for the purge.
 */
export function giveUpMailbox(
  connection: Connection,
  mailbox: { id: number; userId: number; nowMs: number; reserveUntilMs: number | null },
): void {
  connection.change(
    "UPDATE alias SET deleted_at = ? WHERE id = ? AND user_id = ?",
    mailbox.nowMs,
    mailbox.id,
    mailbox.userId,
  );
  connection.change(
    `INSERT INTO reserved_address (address, user_id, until)
     SELECT address, user_id, CASE is_random WHEN 1 THEN NULL ELSE ? END FROM alias WHERE id = ?
     ON CONFLICT (address) DO UPDATE SET user_id = excluded.user_id, until = excluded.until`,
    mailbox.reserveUntilMs,
    mailbox.id,
  );
  connection.change("DELETE FROM api_key_mailbox WHERE mailbox_id = ?", mailbox.id);
  connection.change("UPDATE domain SET catch_all_id = NULL WHERE catch_all_id = ?", mailbox.id);
  noteChange(connection, mailbox.userId);
}
