/** Formats milliseconds since the Unix epoch as `YYYY-MM-DD HH:MM:SS` in one time zone. */
export type TimeFormatter = (timeMs: number) => string;

/** A formatter for an IANA time zone; the zone must exist. UTC skips Intl, which costs some twenty times as much. */
export function timeFormatter(zone: string): TimeFormatter {
  if (zone === "UTC") return (timeMs) => new Date(timeMs).toISOString().slice(0, 19).replace("T", " ");
  // sv-SE writes ISO 8601 order with a space, and h23 keeps midnight at 00.
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone,
    dateStyle: "short",
    timeStyle: "medium",
    hourCycle: "h23",
  });
  return (timeMs) => format.format(timeMs);
}
