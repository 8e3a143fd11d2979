import { drawBars, type Bar, type BarKind } from "./bar-chart.ts";
import { medianOf, ownName, showNumber } from "./comparison.ts";
import type { PeerFacts, PeersResult } from "./result.ts";
import { heading, sittings } from "./workload.ts";

/** A drawn figure; `name` is that of its file without the ending. */
export interface Chart {
  name: string;
  title: string;
  svg: string;
}

interface ChartShape {
  workload: string;
  figure: string;
  unit: string;
  title: string;
  /** The longest bar is not the best. */
  isLessBetter: boolean;
}

/** A chart for each workload that somebody beside us was measured in, and one for processor time. */
export function chartsOf(result: PeersResult): Chart[] {
  const shapes = sittings
    .flatMap(({ workloads }) => workloads)
    .map(({ name, title, main, isRate }) => ({
      workload: name,
      figure: main,
      unit: unitOf(main),
      title,
      isLessBetter: !isRate,
    }));
  const cpu = {
    workload: "4k-50",
    figure: heading.cpu,
    unit: "s",
    title: "Processor time of the server for 1,000 mails of 4 KB",
    isLessBetter: true,
  };
  return [...shapes, cpu].flatMap((shape) => chartOf(result, shape));
}

function chartOf(result: PeersResult, shape: ChartShape): Chart[] {
  const { workload, figure, unit, title, isLessBetter } = shape;
  const bars = result.peers
    .flatMap((peer) => barsOf(result, peer, shape))
    .toSorted((a, b) => (isLessBetter ? a.value - b.value : b.value - a.value));
  if (bars.length < 2) return [];
  const note = `${unit === "" ? figure : unit}, median of the rounds; ${isLessBetter ? "less" : "more"} is better`;
  const name = figure === heading.cpu ? `${workload}-cpu` : workload;
  return [{ name, title, svg: drawBars({ title, note, bars }) }];
}

function barsOf(result: PeersResult, peer: PeerFacts, { workload, figure }: ChartShape): Bar[] {
  const value = medianOf(result, peer.name, workload, figure);
  if (value === null) return [];
  return [{ label: peer.title, value, text: showNumber(value), kind: kindOf(peer) }];
}

function kindOf({ name, isDurable }: PeerFacts): BarKind {
  if (name === ownName) return "own";
  return isDurable ? "kept" : "lost";
}

function unitOf(main: string): string {
  if (main === heading.mailsPerSecond) return "mails a second";
  return main === heading.requestsPerSecond ? "requests a second" : "milliseconds, median of the mails";
}
