/** The forecast and the schedule in words and as a chart. Pure. */
import { type Chart, gaps } from '../parts/chart';
import { clock, moment, percent, round, several, span } from '../words.svelte';
import type { Entry, Forecast, Schedule, Trust } from './shapes';

const HOUR = 3600;
/** What the demand of a fleet is counted in. */
const MEASURES: Record<string, string> = { web: 'cores', workers: 'slots' };
const seconds = (text: string): number => Date.parse(text) / 1000;

export type Told = { tone: 'good' | 'warning' | 'unknown'; head: string; text: string };

/** Whether there is a forecast, and whether it is relied on. */
export function verdict(found: Forecast): Told {
  const name = found.component;
  if (found.ahead.length === 0) {
    if (found.hours >= found.needed_hours) return { tone: 'unknown', head: `There is no forecast of ${name}.`, text: `${capital(found.why)}.` };
    return {
      tone: 'unknown',
      head: `There is no forecast of ${name} yet.`,
      text: `It is made from two weeks of demand: ${several(Math.round(found.hours), 'hour')} of ${found.needed_hours} are on record, so it comes ${soon(found)}. Until then scaling follows what is measured.`,
    };
  }
  if (!found.trust.trusted) {
    return {
      tone: 'warning',
      head: `The forecast of ${name} is not relied on:`,
      text: `${found.trust.why}. Scaling follows what is measured, and relies on it again once it has been right for three hours.`,
    };
  }
  return {
    tone: 'good',
    head: `The forecast of ${name} is relied on.`,
    text: `${peak(found)}${kept(found.trust)}`,
  };
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** How long until there is enough on record, if measuring goes on. */
export function soon(found: Forecast): string {
  const left = found.needed_hours - found.hours;
  return left <= 1 ? 'within the hour' : `in about ${span(left * HOUR)}`;
}

function peak(found: Forecast): string {
  const next = found.peaks[0];
  if (!next) return 'No peak is expected in the next week. ';
  if (seconds(next.begins) <= seconds(found.at)) {
    return `A peak is going on, expected from ${clock(next.begins)} to ${clock(next.ends)}, at up to ${round(next.demand)} ${found.unit}. `;
  }
  return `The next peak is expected ${moment(next.begins)} to ${clock(next.ends)}, at up to ${round(next.demand)} ${found.unit}. `;
}

function kept(trust: Trust): string {
  const share = trust.live_coverage_95 ?? trust.coverage_95;
  return share === null ? '' : `Of the hours that have passed ${percent(share)} stayed under its upper line; 95% are meant to.`;
}

/** Measured hours and what was forecast for them, then the hours ahead. */
export function chartOf(found: Forecast): Chart {
  const times = [...found.past.map((one) => seconds(one.timestamp)), ...found.ahead.map((one) => seconds(one.timestamp))];
  const none = found.ahead.map(() => null);
  const measured = [...found.past.map((one) => one.measured), ...none];
  const p50 = [...found.past.map((one) => one.p50), ...found.ahead.map((one) => one.p50)];
  const p95 = [...found.past.map((one) => one.p95), ...found.ahead.map((one) => one.p95)];
  const now = seconds(found.at);
  const known = found.past.filter((one) => one.measured !== null && one.p95 !== null);
  const under = known.filter((one) => (one.measured ?? 0) <= (one.p95 ?? 0)).length;
  return {
    times,
    lines: [
      { label: 'expected', kind: 'forecast', values: p50, low: p50, high: p95, band: 'expected to one in twenty over' },
      { label: 'measured', kind: 'measured', values: measured },
    ],
    unit: found.unit,
    format: round,
    now,
    unknown: gaps(times, measured, Math.max(times[0] ?? now, now - HOUR)),
    sentence:
      known.length === 0
        ? `Demand of ${found.component} as measured and as expected, by the hour; no hour that was forecast has passed yet.`
        : `Demand of ${found.component} by the hour: of ${several(known.length, 'hour')} that were forecast ${percent(under / known.length)} stayed under the upper line.`,
  };
}

export type Planned = { key: string; at: string; until: string; what: string; who: string; from: string };

/** Everything of the week ahead in order of time: entries, and peaks that are expected. */
export function planned(week: Schedule): Planned[] {
  const rows: Planned[] = week.entries.map((one) => ({
    key: `entry-${one.id}`,
    at: one.begins_at,
    until: one.ends_at,
    what: named(one),
    who: one.fleet || 'every fleet',
    from: one.calendar || 'schedule',
  }));
  for (const [fleet, peaks] of Object.entries(week.peaks)) {
    for (const one of peaks) {
      rows.push({ key: `peak-${fleet}-${one.begins}`, at: one.begins, until: one.ends, what: `Peak of up to ${round(one.demand)} ${MEASURES[fleet] ?? ''}`.trim(), who: fleet, from: 'forecast' });
    }
  }
  return rows.sort((one, other) => one.at.localeCompare(other.at));
}

const KINDS: Record<string, string> = { term: 'Term', exams: 'Exams', break: 'Break', holiday: 'Holiday' };

function named(one: Entry): string {
  const what = one.units === null ? (KINDS[one.kind] ?? one.kind) : `At least ${several(one.units, 'unit')}`;
  return one.note ? `${what}: ${one.note}` : what;
}
