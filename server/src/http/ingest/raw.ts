import { parseAddress } from "../../address.ts";
import { Refusal } from "../../errors.ts";
import { splitAddresses } from "../../mail/access.ts";
import type { Adapter, AdapterLimits } from "./adapter.ts";

// No form: curl says so of whatever it is given, and a mail would be torn at its ampersands.
const rawTypes: ReadonlySet<string> = new Set(["message/rfc822", "message/global", "application/octet-stream", ""]);

/**
 * `POST /v1/ingest`: the body is the mail, `to` (repeated or comma separated) and `from` are parameters of the query. Without
 * `from` it has the null sender.
 */
export function rawAdapter({ maxMessageBytes, maxRecipients }: AdapterLimits): Adapter {
  return {
    name: "raw",
    path: "/v1/ingest",
    proof: "key",
    maxBodyBytes: maxMessageBytes,
    // What came, and the same with its line ends.
    costPerByte: 2,
    async answer({ headers, query, body }, take) {
      const type = headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
      if (!rawTypes.has(type)) throw new Refusal("unsupported_body");
      const to = splitAddresses(query.to);
      if (to.length === 0) throw new Refusal("invalid_parameter", { detail: "to names no recipient" });
      if (to.length > maxRecipients) {
        throw new Refusal("invalid_parameter", { detail: `to names more than ${maxRecipients} recipients` });
      }
      const [from = "", ...more] = splitAddresses([query.text("from") ?? ""]);
      if (more.length > 0 || (from !== "" && from !== "<>" && parseAddress(from) === null)) {
        throw new Refusal("invalid_parameter", { detail: "from is not an address" });
      }
      return await take({ from, to, raw: body }, null);
    },
  };
}
