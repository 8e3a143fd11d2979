import { Refusal } from "../../errors.ts";
import type { Domain, NewDomain } from "../store.ts";
import type { Connection } from "./connection.ts";
import { domainColumns, domainOf, type DomainRow } from "./rows.ts";

// Each function runs inside the writer's transaction.

/** Store.createDomain. */
export function createDomain(connection: Connection, input: NewDomain): Domain {
  if (connection.get("SELECT 1 FROM domain WHERE name = ?", input.name) !== undefined)
    throw new Refusal("domain_taken");
  connection.insert(
    "INSERT INTO domain (name, allows_temp, created_at) VALUES (?, ?, ?)",
    input.name,
    input.allowsTemp ? 1 : 0,
    input.nowMs,
  );
  const row = connection.get<DomainRow>(`SELECT ${domainColumns} FROM domain WHERE name = ?`, input.name);
  if (row === undefined) throw new Error("a new domain has no row");
  return domainOf(row);
}

/** Store.updateDomain. */
export function updateDomain(
  connection: Connection,
  input: { name: string; catchAllMailboxId: number | null },
): boolean {
  const mailboxId = input.catchAllMailboxId;
  const live = "SELECT 1 FROM alias WHERE id = ? AND deleted_at IS NULL";
  if (mailboxId !== null && connection.get(live, mailboxId) === undefined) throw new Refusal("not_found");
  const changed = connection.change("UPDATE domain SET catch_all_id = ? WHERE name = ?", mailboxId, input.name);
  return changed > 0;
}

/** Store.removeDomain. */
export function removeDomain(connection: Connection, input: { name: string; nowMs: number }): boolean {
  const row = connection.get<{ id: number }>("SELECT id FROM domain WHERE name = ?", input.name);
  if (row === undefined) return false;
  const used = connection.get(
    `SELECT 1 FROM alias WHERE domain_id = ? AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?) LIMIT 1`,
    row.id,
    input.nowMs,
  );
  if (used !== undefined) throw new Refusal("domain_in_use");
  connection.change("DELETE FROM domain WHERE id = ?", row.id);
  return true;
}
