/** What a chart of times shows, apart from how it is drawn. Times are in seconds since 1970. */
import { several } from '../words.svelte';

export type Value = number | null;
export type Span = [from: number, to: number];

/**
 * `measured` is a solid line, `held` one whose values each hold until the next, `forecast` dashed in the band from `low`
 * to `high`, `capacity` grey steps, `kept` dotted grey: what would have been.
 */
export type Line = {
  label: string;
  kind: 'measured' | 'held' | 'forecast' | 'capacity' | 'kept';
  values: Value[];
  low?: Value[];
  high?: Value[];
  /** What the band holds, for the table; 5–95% if nothing is said. */
  band?: string;
};
export type Mark = { at: number; label: string };

export type Chart = {
  times: number[];
  lines: Line[];
  /** Of the axis, such as "jobs/s"; empty where the values carry it. */
  unit: string;
  /** How a value is written on the axis and in the table. */
  format: (value: number) => string;
  threshold?: { value: number; label: string };
  /** Nothing measured stands to the right of it. */
  now?: number;
  /** Where a limit was exceeded, and where nothing is known. */
  over?: Span[];
  unknown?: Span[];
  marks?: Mark[];
  from?: number;
  to?: number;
  /** Whether values are seconds: then the axis has steps of whole minutes and hours. */
  seconds?: boolean;
  /** The top of the axis, where the values do not decide it. */
  most?: number;
  /** What there is to see, for who does not see it. */
  sentence: string;
};

/** From what was measured: spans without a value, each from the last value before to the first after. */
export function gaps(times: number[], values: Value[], until?: number): Span[] {
  const found: Span[] = [];
  let from: number | null = null;
  let before: number | null = null;
  times.forEach((at, index) => {
    if (until !== undefined && at > until) return;
    if (values[index] === null || values[index] === undefined) from ??= before ?? at;
    else {
      if (from !== null) found.push([from, at]);
      from = null;
      before = at;
    }
  });
  const last = times.findLast((at) => until === undefined || at <= until);
  const end = until ?? last;
  if (from !== null && end !== undefined && end > from) found.push([from, end]);
  return found;
}

/** Spans in which the values are above a limit; each value holds until the next. */
export function above(times: number[], values: Value[], limit: number): Span[] {
  const found: Span[] = [];
  times.forEach((at, index) => {
    const value = values[index] ?? null;
    const next = times[index + 1] ?? at;
    if (value === null || value <= limit || next === at) return;
    const last = found.at(-1);
    if (last && last[1] === at) last[1] = next;
    else found.push([at, next]);
  });
  return found;
}

/** The total of spans in words: "12 min over"; empty without any. */
export function total(spans: Span[], word: string): string {
  const seconds = spans.reduce((sum, [from, to]) => sum + to - from, 0);
  if (seconds <= 0) return '';
  const minutes = Math.max(1, Math.round(seconds / 60));
  return minutes < 120 ? `${minutes} min ${word}` : `${several(Math.round(minutes / 60), 'hour')} ${word}`;
}

const MINUTES = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/**
 * The values of an axis from zero, at least two: of the least whole step (1, 2, 2.5 or 5 times a power of ten, or whole
 * minutes and hours for longer `seconds`) that needs at most `most` of them.
 */
export function steps(top: number, most: number, seconds = false): number[] {
  const reach = top > 0 ? top : 1;
  const rough = reach / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = power * ([1, 2, 2.5, 5, 10].find((one) => one * power >= rough * 0.999999) ?? 10);
  const step = seconds && rough > 30 ? (MINUTES.find((one) => one >= rough * 0.999999) ?? round) : round;
  const number = Math.max(1, Math.ceil(reach / step - 1e-9));
  return Array.from({ length: number + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/** The highest value that is drawn. */
export function highest(chart: Chart): number {
  let most = chart.threshold?.value ?? 0;
  for (const line of chart.lines) {
    for (const value of [...line.values, ...(line.high ?? [])]) if (value !== null && value > most) most = value;
  }
  return Math.max(most, chart.most ?? 0);
}

/** Every so many rows, such that a table has at most `most`; the last row stays. */
export function thinned(length: number, most: number): number[] {
  const every = Math.max(1, Math.ceil(length / most));
  const rows = Array.from({ length: Math.ceil(length / every) }, (_, index) => index * every);
  if (length > 0 && rows.at(-1) !== length - 1) rows.push(length - 1);
  return rows;
}
