/** One line of a chart. */
export interface Bar {
  label: string;
  value: number;
  /** What stands behind the bar. */
  text: string;
  /** `own`: ours; `kept`: others that keep a mail through a power cut; `lost`: others that do not. */
  kind: BarKind;
}

export type BarKind = "own" | "kept" | "lost";

export interface BarChart {
  title: string;
  /** Under the title, smaller. */
  note: string;
  bars: readonly Bar[];
}

const width = 760;
const labelWidth = 280;
const textWidth = 110;
const barHeight = 20;
const lineHeight = 28;
const headHeight = 58;
const legendHeight = 34;
const barWidth = width - labelWidth - textWidth;

/** Readable on light and dark pages alike; bars differ in pattern as well as in colour. */
const style = `
    text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
    .title { font-size: 15px; font-weight: 600 }
    .note { font-size: 12px; fill: #59636e }
    .own { fill: #1a7f37 }
    .kept { fill: #0969da }
    .lost { fill: url(#stripes) }
    .stripe { stroke: #818b98 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .note { fill: #9198a1 }
      .own { fill: #3fb950 }
      .kept { fill: #4493f8 }
    }`;

const legend: readonly { kind: BarKind; text: string }[] = [
  { kind: "own", text: "ours, keeps every mail through a power cut" },
  { kind: "kept", text: "keeps it, too" },
  { kind: "lost", text: "does not" },
];

/** Horizontal bars as an SVG document, as wide as their values are in proportion to the greatest. */
export function drawBars({ title, note, bars }: BarChart): string {
  const height = headHeight + bars.length * lineHeight + legendHeight;
  const greatest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const lines = bars.map((bar, index) => drawBar(bar, headHeight + index * lineHeight, greatest));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
  <title>${escaped(title)}</title>
  <style>${style}
  </style>
  <defs>
    <pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <line class="stripe" x1="0" y1="0" x2="0" y2="6" stroke-width="7" stroke-opacity="0.45"/>
      <line class="stripe" x1="0" y1="0" x2="0" y2="6" stroke-width="3"/>
    </pattern>
  </defs>
  <text class="title" x="0" y="20">${escaped(title)}</text>
  <text class="note" x="0" y="40">${escaped(note)}</text>
${lines.join("\n")}
${drawLegend(height - legendHeight / 2)}
</svg>
`;
}

function drawBar({ label, value, text, kind }: Bar, top: number, greatest: number): string {
  const length = Math.max(1, Math.round((value / greatest) * barWidth));
  const middle = top + 15;
  return `  <text x="${labelWidth - 8}" y="${middle}" text-anchor="end">${escaped(label)}</text>
  <rect class="${kind}" x="${labelWidth}" y="${top}" width="${length}" height="${barHeight}" rx="2"/>
  <text x="${labelWidth + length + 6}" y="${middle}">${escaped(text)}</text>`;
}

function drawLegend(middle: number): string {
  let left = 0;
  const parts = legend.map(({ kind, text }) => {
    const part = `  <rect class="${kind}" x="${left}" y="${middle - 2}" width="12" height="12" rx="2"/>
  <text class="note" x="${left + 18}" y="${middle + 8}">${escaped(text)}</text>`;
    left += 40 + text.length * 6.2;
    return part;
  });
  return parts.join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
