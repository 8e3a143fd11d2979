/** A time as ISO 8601 in UTC, to the second. */
export function isoTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19)}Z`;
}

const sizeUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Bytes as a person reads them, rounded: `512 B`, `1.5 MiB`. */
export function sizeText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), sizeUnits.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${sizeUnits[power]}`;
}

/** Bytes as `catmails.yaml` takes them, exact: `25MiB`, `1000`. */
export function exactBytes(bytes: number): string {
  return exactUnit(bytes, [
    [1024 ** 3, "GiB"],
    [1024 ** 2, "MiB"],
    [1024, "KiB"],
    [1, ""],
  ]);
}

/** Milliseconds as `catmails.yaml` takes them, exact: `30d`, `24h`, `500ms`. */
export function exactDuration(durationMs: number): string {
  return exactUnit(durationMs, [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "m"],
    [1000, "s"],
    [1, "ms"],
  ]);
}

function exactUnit(value: number, units: readonly (readonly [number, string])[]): string {
  const fitting = value === 0 ? undefined : units.find(([size]) => value % size === 0);
  return fitting === undefined ? String(value) : `${value / fitting[0]}${fitting[1]}`;
}
