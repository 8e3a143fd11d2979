/** Formats milliseconds since the Unix epoch as `YYYY-MM-DD HH:MM:SS` in one time zone. */
export type TimeFormatter = (timeMs: number) => string;

const dayMs = 86_400_000;

/** A formatter for an IANA time zone; the zone must exist. UTC skips Intl, which costs some forty times as much. */
export function timeFormatter(zone: string): TimeFormatter {
  if (zone === "UTC") return utcFormatter();
  // sv-SE writes ISO 8601 order with a space, and h23 keeps midnight at 00.
  const format = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zone,
    dateStyle: "short",
    timeStyle: "medium",
    hourCycle: "h23",
  });
  return (timeMs) => format.format(timeMs);
}

/** Mails of a page are mostly of one day, whose date is written once: a whole one each time costs nine times as much. */
function utcFormatter(): TimeFormatter {
  let day = Number.NaN;
  let date = "";
  return (timeMs) => {
    const itsDay = Math.floor(timeMs / dayMs);
    if (itsDay !== day) date = new Date(timeMs).toISOString().slice(0, 10);
    day = itsDay;
    const seconds = Math.floor((timeMs - day * dayMs) / 1000);
    return `${date} ${twoDigits(seconds / 3600)}:${twoDigits((seconds / 60) % 60)}:${twoDigits(seconds % 60)}`;
  };
}

function twoDigits(value: number): string {
  return value < 10 ? `0${Math.floor(value)}` : `${Math.floor(value)}`;
}
