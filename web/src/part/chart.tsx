// Curves, as SVG: a sparkline, and a chart with axes, limits and a reading line. Where nothing was received there is a gap and never a line
// across it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { clock, dateTime, number, shortTime } from "../lib/format.ts";
import type { SeriesPoint } from "../lib/types.ts";
import { dictionary } from "../lib/words.ts";

const t = dictionary(
  { nothing: "这段时间没有数据", range: "最小 {0}，最大 {1}", flagged: "{0} 个超出量程" },
  { nothing: "No data in this time", range: "min {0}, max {1}", flagged: "{0} out of range" },
);

/** A curve's value at a moment; null = nothing was received from here on. */
type Place = readonly [at: number, value: number | null];

/** Runs of values without a gap. */
function runs(places: readonly Place[]): [number, number][][] {
  const all: [number, number][][] = [[]];
  for (const [at, value] of places) {
    if (value === null) all.push([]);
    else all[all.length - 1]!.push([at, value]);
  }
  return all.filter((run) => run.length > 0);
}

const line = (run: [number, number][], x: (at: number) => number, y: (value: number) => number): string =>
  // A run of one is a dot: a line of no length with round ends.
  run.map(([at, value], place) => `${place === 0 ? "M" : "L"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("") + (run.length === 1 ? "h0.01" : "");

function span(values: number[]): [number, number] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (high > low) return [low, high];
  const room = Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

const means = (points: readonly SeriesPoint[]): Place[] => points.map((point) => [point[0], point[2]]);

export function Sparkline({ points, label, width = 96, height = 24 }: { points: readonly SeriesPoint[]; label: string; width?: number; height?: number }): JSX.Element {
  const all = runs(means(points));
  const flat = all.flat();
  if (flat.length === 0) return <span class="quiet">–</span>;
  const [from, to] = span(flat.map(([at]) => at));
  const [low, high] = span(flat.map(([, value]) => value));
  const x = (at: number) => 2 + ((at - from) / (to - from)) * (width - 4);
  const y = (value: number) => height - 3 - ((value - low) / (high - low)) * (height - 6);
  return (
    <svg class="sparkline" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      {all.map((run) => (
        <path key={run[0]![0]} class="curve" d={line(run, x, y)} />
      ))}
    </svg>
  );
}

/** About `count` round values within the span. */
function ticks([low, high]: [number, number], count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough) ?? rough;
  const all: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) all.push(Math.abs(value) < step * 1e-9 ? 0 : value);
  return all;
}

const MARGIN = { left: 48, right: 8, top: 8, bottom: 20 };

interface ChartProperties {
  points: readonly SeriesPoint[];
  from: number;
  to: number;
  unit: string;
  label: string;
  /** Lines that the curve should not cross, with their names. */
  limits?: { value: number; name: string }[];
  width?: number;
  height?: number;
}

export function Chart({ points, from, to, unit, label, limits = [], width = 420, height = 160 }: ChartProperties): JSX.Element {
  const [read, setRead] = useState<SeriesPoint | null>(null);
  const filled = points.filter((point) => point[2] !== null);
  if (filled.length === 0) return <p class="quiet">{t("nothing")}</p>;
  const values = filled.flatMap((point) => [point[1]!, point[3]!]);
  const reach = Math.max(...values) - Math.min(...values) || 1;
  // A limit far from what is measured would press the curve flat: it is told in words beside it.
  const near = limits.filter(({ value }) => value > Math.min(...values) - reach * 2 && value < Math.max(...values) + reach * 2);
  const reachable = span([...values, ...near.map(({ value }) => value)]);
  const x = (at: number) => MARGIN.left + ((at - from) / Math.max(1, to - from)) * (width - MARGIN.left - MARGIN.right);
  const y = (value: number) => height - MARGIN.bottom - ((value - reachable[0]) / (reachable[1] - reachable[0])) * (height - MARGIN.top - MARGIN.bottom);
  const look = (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = from + ((((event.clientX - box.left) / box.width) * width - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * (to - from);
    setRead(filled.reduce((best, point) => (Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best)));
  };
  const times = [0, 1, 2, 3, 4].map((place) => from + ((to - from) * place) / 4);
  const tell = to - from > 172_800_000 ? shortTime : clock;
  const band = runs(points.map((point): Place => [point[0], point[3]]));
  const floor = new Map(filled.map((point) => [point[0], point[1]!]));
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label} onPointerMove={look} onPointerLeave={() => setRead(null)}>
        {ticks(reachable, 4).map((value) => (
          <g key={value}>
            <line class="grid" x1={MARGIN.left} x2={width - MARGIN.right} y1={y(value)} y2={y(value)} />
            <text x={MARGIN.left - 4} y={y(value) + 3.5} text-anchor="end">
              {number(value)}
            </text>
          </g>
        ))}
        {times.map((at, place) => (
          <text key={at} x={x(at)} y={height - 5} text-anchor={place === 0 ? "start" : place === 4 ? "end" : "middle"}>
            {tell(at)}
          </text>
        ))}
        {band.map((run) => (
          <path
            key={run[0]![0]}
            class="band"
            d={`${line(run, x, y)}${[...run].reverse().map(([at]) => `L${x(at).toFixed(1)} ${y(floor.get(at)!).toFixed(1)}`).join("")}Z`}
          />
        ))}
        {runs(means(points)).map((run) => (
          <path key={run[0]![0]} class="curve" d={line(run, x, y)} />
        ))}
        {near.map(({ value, name }) => (
          <g key={name}>
            <line class="limit" x1={MARGIN.left} x2={width - MARGIN.right} y1={y(value)} y2={y(value)} />
            <text class="limit" x={width - MARGIN.right} y={y(value) - 3} text-anchor="end">
              {name} {number(value)}
            </text>
          </g>
        ))}
        {read && <line class="reading" x1={x(read[0])} x2={x(read[0])} y1={MARGIN.top} y2={height - MARGIN.bottom} />}
      </svg>
      <figcaption>
        {read === null
          ? label
          : `${dateTime(read[0])}  ${number(read[2])} ${unit}  (${t("range", number(read[1]), number(read[3]))})${read[6] > 0 ? ` ${t("flagged", read[6])}` : ""}`}
      </figcaption>
    </figure>
  );
}
