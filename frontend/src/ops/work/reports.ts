/** Charts of a load test, from the seconds that its report or a running test tells. */
import type { Chart, Line } from '../parts/chart';
import { count, percent, round, span } from '../words.svelte';
import type { Moment, Objective, Report, RunState } from './shapes';

type Picked = { label: string; kind?: Line['kind']; of: (moment: Moment) => number | null };

export type Charts = { rate: Chart; latency: Chart; failed: Chart; use: Chart };

/**
 * All charts of some seconds; `began` is when they began, in milliseconds since 1970. The objective for the p95 of all,
 * or the lowest other percentile that has one, is a threshold.
 */
export function charts(moments: Moment[], began: number, objectives: Objective[] = []): Charts {
  const bound = objectives.filter((one) => /^p[0-9.]+$/.test(one.objective)).sort((a, b) => nearness(a) - nearness(b))[0];
  const top = moments.reduce((most, one) => Math.max(most, one.throughput), 0);
  const slowest = moments.reduce((most, one) => Math.max(most, one.p95 ?? 0), 0);
  const failed = moments.reduce((sum, one) => sum + one.failed, 0);
  const busiest = moments.reduce((most, one) => Math.max(most, one.target_cores ?? 0), 0);
  return {
    rate: chart(moments, began, 'arrivals/s', round, `Up to ${round(top)} arrivals a second were answered.`, [
      { label: 'due', kind: 'kept', of: (one) => one.rate },
      { label: 'answered', of: (one) => one.throughput },
    ]),
    latency: {
      ...chart(moments, began, '', span, `The p95 of a second was at most ${span(slowest)}.${bound ? ` The objective is ${bound.objective} of ${span(bound.bound)}.` : ''}`, [
        { label: 'p50', kind: 'kept', of: (one) => one.p50 },
        { label: 'p95', of: (one) => one.p95 },
        { label: 'p99', kind: 'kept', of: (one) => one.p99 },
      ]),
      ...(bound ? { threshold: { value: bound.bound, label: `${bound.objective} ${span(bound.bound)}` } } : {}),
    },
    failed: chart(moments, began, 'errors/s', round, `${count(failed)} arrivals failed.`, [{ label: 'failed', of: (one) => one.failed }]),
    use: chart(moments, began, 'cores', round, `The target used at most ${round(busiest)} cores.`, [
      { label: 'target', of: (one) => one.target_cores },
      { label: 'tester', kind: 'kept', of: (one) => one.tester_cores },
    ]),
  };
}

const nearness = (one: Objective): number => (one.objective === 'p95' ? -1 : Number(one.objective.slice(1)));

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
export function heard(known: Moment[], told: Moment[], most = 900): Moment[] {
  const seconds = new Set(known.map((one) => one.second));
  const fresh = told.filter((one) => !seconds.has(one.second));
  return fresh.length === 0 ? known : [...known, ...fresh].sort((a, b) => a.second - b.second).slice(-most);
}

/** What a running test does now: "ramp to 20 arrivals/s, 12 s of 60 s". */
export function phase(state: RunState): string {
  if (state.phase !== 'sending') {
    const { prepared } = state;
    return prepared ? `${count(prepared.done)} of ${count(prepared.of)} ${prepared.what} ready` : 'people are let in, sockets are opened';
  }
  const { stage } = state;
  const words = { ramp: 'ramp to', settle: 'settling at', hold: 'held at' };
  const where = stage ? `${words[stage.kind]} ${round(stage.last)} arrivals/s` : 'the last answers come';
  return `${where}, ${span(state.last?.second ?? 0)} of ${span(state.seconds)}`;
}

/** The errors of the seconds that are known, as a share of what ended in them. */
export function failures(moments: Moment[]): string {
  const failed = moments.reduce((sum, one) => sum + one.failed, 0);
  const ended = moments.reduce((sum, one) => sum + one.throughput, failed);
  return ended === 0 ? '–' : `${count(failed)} of ${count(Math.round(ended))}, ${percent(failed / ended)}`;
}
