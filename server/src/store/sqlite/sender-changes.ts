import { Refusal } from "../../errors.ts";
import { maxSenderRules, type NewSenderRule, type RuleAction, type SenderRecord, type SenderRule } from "../store.ts";
import type { Connection } from "./connection.ts";
import { ruleColumns, ruleOf, type RuleRow } from "./rows.ts";

// Each function runs inside the writer's transaction.

/** Store.recordSenders. */
export function recordSenders(connection: Connection, results: readonly SenderRecord[]): void {
  for (const { userId, id, dmarc, marked, findings } of results) {
    connection.change(
      `INSERT OR REPLACE INTO mail_sender (user_id, id, mailbox_id, mail_to, dmarc, marked, findings)
       SELECT user_id, id, mailbox_id, mail_to, ?, ?, ? FROM mail WHERE user_id = ? AND id = ?`,
      dmarc,
      marked ? 1 : 0,
      findings,
      userId,
      id,
    );
  }
}

/** Store.addSenderRule. */
export function addSenderRule(connection: Connection, input: NewSenderRule): SenderRule {
  const { action, kind, value, nowMs } = input;
  const known = "SELECT 1 FROM sender_rule WHERE action = ? AND value = ?";
  if (connection.get(known, action, value) !== undefined) throw new Refusal("rule_taken");
  const count = connection.get<{ count: number }>("SELECT count(*) AS count FROM sender_rule")?.count ?? 0;
  if (count >= maxSenderRules) throw new Refusal("too_many_rules");
  const id = connection.insert(
    "INSERT INTO sender_rule (action, kind, value, created_at) VALUES (?, ?, ?, ?)",
    action,
    kind,
    value,
    nowMs,
  );
  notePolicyChange(connection);
  const row = connection.get<RuleRow>(`SELECT ${ruleColumns} FROM sender_rule WHERE id = ?`, id);
  if (row === undefined) throw new Error("a new rule has no row");
  return ruleOf(row);
}

/** Store.removeSenderRule. */
export function removeSenderRule(connection: Connection, input: { action: RuleAction; value: string }): boolean {
  const sql = "DELETE FROM sender_rule WHERE action = ? AND value = ?";
  if (connection.change(sql, input.action, input.value) === 0) return false;
  notePolicyChange(connection);
  return true;
}

/** Says to every process that what is to be known about senders changed. */
export function notePolicyChange(connection: Connection): void {
  connection.change("UPDATE meta SET policy_revision = policy_revision + 1");
}
