/** What to draw around a decision: which series it is about, from when to when, and what it says. */
import type { Explained, SeriesShown } from '../answers';
import { type Chart, gaps } from '../parts/chart';
import { exact, percent, round } from '../words.svelte';
import { change } from './words';

export type Asked = { component: string; metric: string; part: string; since: string };

const BEFORE = 45 * 60_000;

/** The series that the decision was to change, else how full its fleet is. */
export function asked(told: Explained): Asked {
  const since = new Date(Date.parse(told.event.at) - BEFORE).toISOString();
  const expected = told.expected;
  if (expected) return { component: expected.component, metric: plain(expected.metric), part: expected.part, since };
  const fleet = told.event.fleet;
  if (fleet.startsWith('replicas/')) return { component: 'database', metric: 'utilisation', part: fleet.slice(9), since };
  return { component: fleet === 'shards' ? 'database' : fleet, metric: 'utilisation', part: '', since };
}

/** A rule may ask for a quantile; what is on record by the minute is the mean. */
const plain = (metric: string): string => metric.replace(/_p(50|95|99)$/, '');

export function around(told: Explained, series: SeriesShown, until: number): Chart {
  const shown = series.points.filter((point) => Date.parse(point.timestamp) <= until);
  const times = shown.map((point) => Date.parse(point.timestamp) / 1000);
  const values = shown.map((point) => point.value);
  const share = /utilisation|share|errors/.test(series.metric);
  const format = (value: number): string => (share ? percent(value) : round(value));
  const limit = told.expected && plain(told.expected.metric) === series.metric ? told.expected.limit : null;
  const ready = told.event.ended_at && told.event.state === 'done' ? Date.parse(told.event.ended_at) / 1000 : null;
  const decided = Date.parse(told.event.at) / 1000;
  const known = values.filter((value) => value !== null);
  const name = `${series.component} ${series.metric}`;
  return {
    times,
    lines: [{ label: name, kind: 'measured', values }],
    unit: name,
    format,
    ...(limit === null ? {} : { threshold: { value: limit, label: format(limit) } }),
    unknown: gaps(times, values),
    marks: [
      { at: decided, label: `${exact(told.event.at)} decided` },
      ...(ready === null ? [] : [{ at: ready, label: `${exact(ready * 1000)} ready` }]),
    ],
    sentence:
      known.length === 0
        ? `${name} around ${change(told.event)}: nothing was measured.`
        : `${name} around ${change(told.event)}: from ${format(Math.min(...known))} to ${format(Math.max(...known))}.`,
  };
}
