import type { Config } from "../config.ts";
import type { Logger } from "../log.ts";
import { Admission } from "../mail/admission.ts";
import { Greylist } from "../mail/greylist.ts";
import { SenderPolicies } from "../mail/sender-policy.ts";
import { SenderResults } from "../mail/sender-results.ts";
import type { Metrics } from "../metrics.ts";
import { SenderDesk } from "../sender/sender.ts";
import type { Store } from "../store/store.ts";

/** Opens what judges senders, as it is configured; `parts` closes it. */
export async function openSenderRooms(
  config: Config,
  base: { store: Store; log: Logger; metrics: Metrics; parts: AsyncDisposableStack },
): Promise<{ admission: Admission; results: SenderResults }> {
  const { store, log, metrics, parts } = base;
  const policies = parts.use(await SenderPolicies.open(store, log));
  const zones = config.dnsbl_zones === "off" ? [] : config.dnsbl_zones.split(",");
  const desk = parts.use(
    new SenderDesk({ dnsServers: config.dns_servers, zones, hostname: config.smtp_hostname, log }),
  );
  const greylist = new Greylist({
    delayMs: config.greylist_delay,
    windowMs: config.greylist_window,
    lifetimeMs: config.greylist_lifetime,
  });
  const results = new SenderResults({
    store,
    desk,
    policies,
    log,
    metrics,
    checks: config.sender_checks,
  });
  parts.use(results);
  return { admission: new Admission({ policies, greylist, blockLists: zones.length === 0 ? null : desk }), results };
}
