/** A figure of the last day as a small chart: a threshold, what is over it, what is not known. */
import type { FigureShown, Today } from '../answers';
import { above, type Chart, gaps } from '../parts/chart';
import { round } from '../words.svelte';
import { inUnit, told } from './words';

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
