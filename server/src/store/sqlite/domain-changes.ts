import { Refusal } from "../../errors.ts";
import type { Domain, DomainChange, NewDomain } from "../store.ts";
import type { Connection } from "./connection.ts";
import { domainColumns, domainOf, type DomainRow } from "./rows.ts";
import { notePolicyChange } from "./sender-changes.ts";

// Each function runs inside the writer's transaction.

/** Store.createDomain. */
export function createDomain(connection: Connection, input: NewDomain): Domain {
  if (connection.get("SELECT 1 FROM domain WHERE name = ?", input.name) !== undefined)
    throw new Refusal("domain_taken");
  connection.insert(
    "INSERT INTO domain (name, allows_temp, dmarc, created_at) VALUES (?, ?, ?, ?)",
    input.name,
    input.allowsTemp ? 1 : 0,
    input.dmarc ?? "accept",
    input.nowMs,
  );
  notePolicyChange(connection);
  const row = connection.get<DomainRow>(`SELECT ${domainColumns} FROM domain WHERE name = ?`, input.name);
  if (row === undefined) throw new Error("a new domain has no row");
  return domainOf(row);
}

/** Store.updateDomain. */
export function updateDomain(connection: Connection, input: DomainChange): boolean {
  const { name, catchAllMailboxId, dmarc } = input;
  const row = connection.get<{ id: number }>("SELECT id FROM domain WHERE name = ?", name);
  if (catchAllMailboxId !== undefined && catchAllMailboxId !== null) {
    const live = "SELECT 1 FROM alias WHERE id = ? AND deleted_at IS NULL";
    if (connection.get(live, catchAllMailboxId) === undefined) throw new Refusal("not_found");
  }
  if (row === undefined) return false;
  if (catchAllMailboxId !== undefined)
    connection.change("UPDATE domain SET catch_all_id = ? WHERE id = ?", catchAllMailboxId, row.id);
  if (dmarc !== undefined) {
    connection.change("UPDATE domain SET dmarc = ? WHERE id = ?", dmarc, row.id);
    notePolicyChange(connection);
  }
  return true;
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
  notePolicyChange(connection);
  return true;
}
