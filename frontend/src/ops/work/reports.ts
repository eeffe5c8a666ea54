/** Charts of a load test, from the seconds that its report or a running test tells. */
import type { Chart, Line } from '../parts/chart';
import { count, percent, round, span } from '../words.svelte';
import type { Moment, Report } from './shapes';

type Picked = { label: string; kind?: Line['kind']; of: (moment: Moment) => number | null };

export type Charts = { rate: Chart; latency: Chart; failed: Chart; use: Chart };

/** All charts of some seconds; `began` is when they began, in milliseconds since 1970. */
export function charts(moments: Moment[], began: number): Charts {
  const top = moments.reduce((most, one) => Math.max(most, one.throughput), 0);
  const slowest = moments.reduce((most, one) => Math.max(most, one.p95 ?? 0), 0);
  const failed = moments.reduce((sum, one) => sum + one.failed, 0);
  const busiest = moments.reduce((most, one) => Math.max(most, one.target_cores ?? 0), 0);
  return {
    rate: chart(moments, began, 'arrivals/s', round, `Up to ${round(top)} arrivals a second were answered.`, [
      { label: 'due', kind: 'kept', of: (one) => one.rate },
      { label: 'answered', of: (one) => one.throughput },
    ]),
    latency: chart(moments, began, '', span, `The p95 of a second was at most ${span(slowest)}.`, [
      { label: 'p50', kind: 'kept', of: (one) => one.p50 },
      { label: 'p95', of: (one) => one.p95 },
    ]),
    failed: chart(moments, began, 'errors/s', round, `${count(failed)} arrivals failed.`, [{ label: 'failed', of: (one) => one.failed }]),
    use: chart(moments, began, 'cores', round, `The target used at most ${round(busiest)} cores.`, [
      { label: 'target', of: (one) => one.target_cores },
      { label: 'tester', kind: 'kept', of: (one) => one.tester_cores },
    ]),
  };
}

function chart(moments: Moment[], began: number, unit: string, format: (value: number) => string, sentence: string, picked: Picked[]): Chart {
  return {
    times: moments.map((one) => began / 1000 + one.second),
    lines: picked.map(({ label, kind = 'measured', of }) => ({ label, kind, values: moments.map(of) })),
    unit,
    format,
    sentence,
  };
}

/** The conclusion of a report in a sentence. */
export function conclusion(report: Report): string {
  const { all } = report.steady;
  const figures = `${round(all.throughput)} arrivals a second with a p95 of ${span(all.p95)} and ${percent(all.error_rate)} errors`;
  switch (report.verdict.result) {
    case 'met':
      return `Every objective was kept: ${figures}.`;
    case 'missed': {
      const missed = report.verdict.objectives.filter((one) => !one.met).map((one) => one.text);
      return `Not every objective was kept (${missed.join('; ')}): ${figures}.`;
    }
    default:
      return `It proves nothing, because ${report.verdict.reasons.join('; ')}.`;
  }
}

/** Keeps the seconds of a running test in order, each once, at most `most` of them. */
export function heard(known: Moment[], last: Moment | undefined, most = 600): Moment[] {
  if (!last || known.some((one) => one.second === last.second)) return known;
  return [...known, last].sort((a, b) => a.second - b.second).slice(-most);
}
