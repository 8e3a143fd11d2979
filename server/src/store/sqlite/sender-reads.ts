import type { DmarcPolicy, Page, RuleAction, RuleKind, SenderPolicy, SenderRule } from "../store.ts";
import type { Connection } from "./connection.ts";
import { ruleColumns, ruleOf, type RuleRow } from "./rows.ts";

/** Store.listSenderRules. */
export function listSenderRules(connection: Connection, page: Page & { action?: RuleAction }): SenderRule[] {
  const sql = `SELECT ${ruleColumns} FROM sender_rule WHERE id > ?1 AND (?2 IS NULL OR action = ?2) ORDER BY id LIMIT ?3`;
  return connection.all<RuleRow>(sql, page.afterId, page.action ?? null, page.limit).map(ruleOf);
}

/** Store.senderPolicy. */
export function senderPolicy(connection: Connection, sinceRevision: number): SenderPolicy | null {
  // The revision first: a change in between is then told of twice, and never missed.
  const revision =
    connection.get<{ policy_revision: number }>("SELECT policy_revision FROM meta")?.policy_revision ?? 0;
  if (revision <= sinceRevision) return null;
  return {
    revision,
    rules: connection.all<{ action: RuleAction; kind: RuleKind; value: string }>(
      "SELECT action, kind, value FROM sender_rule ORDER BY id",
    ),
    domains: connection.all<{ name: string; dmarc: DmarcPolicy }>(
      "SELECT name, dmarc FROM domain WHERE dmarc <> 'accept' ORDER BY id",
    ),
  };
}
