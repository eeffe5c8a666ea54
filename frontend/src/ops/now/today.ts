/** A figure of the last day as a small chart: a threshold, what is over it, what is not known. */
import type { FigureShown, Today } from '../answers';
import type { Depths } from '../live.svelte';
import { above, type Chart, gaps } from '../parts/chart';
import { round } from '../words.svelte';
import { inUnit, told } from './words';

/** A day with how many jobs wait by now, which is told of at once; figures come with samples. */
export function deepened(today: Today, depths: Depths): Today {
  if (Object.keys(depths).length === 0) return today;
  const value = Object.values(depths).reduce((sum, states) => sum + (states['queued'] ?? 0), 0);
  const components = today.components.map((one) => ({
    ...one,
    facts: one.facts.map((fact) => (fact.name === 'jobs wait' ? { ...fact, value } : fact)),
  }));
  return { ...today, components };
}

export function chartOf(title: string, figure: FigureShown, today: Today): Chart {
  const since = Date.parse(today.since) / 1000;
  const now = Date.parse(today.at) / 1000;
  const { expected } = figure;
  const slots = Math.max(figure.points.length, expected?.p50.length ?? 0);
  const times = Array.from({ length: slots }, (_, index) => since + index * today.step);
  const past = times.slice(0, figure.points.length);
  const points = [...figure.points, ...times.slice(figure.points.length).map(() => null)];
  const limit = figure.limit;
  const first = figure.points.findIndex((value) => value !== null);
  const format = (value: number): string => (figure.unit === 'number' ? round(value) : inUnit(value, figure.unit));
  return {
    times,
    lines: [
      ...(expected ? [{ label: 'expected', kind: 'forecast' as const, values: expected.p50, low: expected.p50, high: expected.p95, band: 'expected to one in twenty over' }] : []),
      { label: figure.name, kind: 'measured', values: points },
    ],
    unit: '',
    format,
    from: since,
    to: Date.parse(today.until) / 1000,
    ...(today.until === today.at ? {} : { now }),
    ...(limit === null ? {} : { threshold: { value: limit, label: format(limit) }, over: above(past, figure.points, limit) }),
    // Before the first value nothing may have run.
    unknown: first < 0 ? [] : gaps(past.slice(first), figure.points.slice(first), now - today.step),
    ...(figure.unit === 'share' && (limit === null || limit > 0.3) ? { most: 1 } : {}),
    seconds: figure.unit === 's',
    sentence: told(title, figure),
  };
}
