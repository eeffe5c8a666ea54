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
  const times = figure.points.map((_, index) => since + index * today.step);
  const limit = figure.limit;
  const first = figure.points.findIndex((value) => value !== null);
  const format = (value: number): string => (figure.unit === 'number' ? round(value) : inUnit(value, figure.unit));
  return {
    times,
    lines: [{ label: figure.name, kind: 'measured', values: figure.points }],
    unit: '',
    format,
    from: since,
    to: now,
    ...(limit === null ? {} : { threshold: { value: limit, label: format(limit) }, over: above(times, figure.points, limit) }),
    // Before the first value nothing may have run.
    unknown: first < 0 ? [] : gaps(times.slice(first), figure.points.slice(first), now - today.step),
    ...(figure.unit === 'share' && (limit === null || limit > 0.3) ? { most: 1 } : {}),
    seconds: figure.unit === 's',
    sentence: told(title, figure),
  };
}
