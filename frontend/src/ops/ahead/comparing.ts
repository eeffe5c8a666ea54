/** What a simulation shows, in words and on scales. Pure, so that what the page says can be tested. */
import type { Chart, Span } from '../parts/chart';
import { date, percent, round, several } from '../words.svelte';
import type { Policy, Simulation, Stretch, Trace, Worth } from './shapes';

/** Where a policy is good enough: at most so many minutes a day over capacity, at most so many times the least cost. */
export const GOOD = { minutes: 10, cost: 2.5 };

const DAY = 86_400;
/** A trace of up to a day and a half is told as it is; of a longer one, a day of it. */
const ONE_DAY = 1.5;

const seconds = (text: string): number => Date.parse(text) / 1000;

export function days(trace: Trace): number {
  return (trace.ticks * trace.tick) / DAY;
}

/** Whether figures are told by day. */
export const perDay = (trace: Trace): boolean => days(trace) > ONE_DAY;

export function minutes(policy: Policy, trace: Trace): number {
  return perDay(trace) ? policy.violation_minutes_per_day : policy.violation_minutes;
}

/** What a policy comes to, in shares of the least capacity; less is better. As the default weighs its own candidates. */
export function worth(policy: Policy, prices: Worth): number {
  const { violation_minutes_per_day, cost_ratio, events_per_day, flaps_per_day } = policy;
  return (cost_ratio ?? 0) + prices.minute * violation_minutes_per_day + prices.change * events_per_day + prices.flap * flaps_per_day;
}

/** Of so much less worth nobody takes one policy over another: it is less than the figures show. */
const EQUAL = 0.005;

/** Those that do best: one, or several where nothing that is shown tells them apart. */
export function best(policies: Policy[], prices: Worth): Policy[] {
  const first = least(policies, (one) => worth(one, prices));
  if (!first) return [];
  return policies.filter((one) => one.violation_minutes === first.violation_minutes && worth(one, prices) - worth(first, prices) < EQUAL);
}

/** The one to take: of several that do equally well the default, which runs here. */
export function picked(policies: Policy[], prices: Worth): Policy | undefined {
  const found = best(policies, prices);
  return found.find((one) => one.name === 'default') ?? found[0];
}

const together = (names: string[]): string => (names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`);

function least(policies: Policy[], of: (one: Policy) => number): Policy | undefined {
  return policies.reduce<Policy | undefined>((best, one) => (best === undefined || of(one) < of(best) ? one : best), undefined);
}

export type Conclusion = { tone: 'good' | 'warning'; head: string; text: string };

/** The verdict: which one, against the next one with few minutes, and what the cheapest leaves without capacity. */
export function conclusion(found: Simulation, prices: Worth): Conclusion | undefined {
  const { trace, policies } = found;
  const pick = picked(policies, prices);
  if (!trace || !pick) return undefined;
  const over = (one: Policy): number => minutes(one, trace);
  const told = (one: Policy): string => `${several(Number(round(over(one)).replaceAll(',', '')), 'minute')}${perDay(trace) ? ' a day' : ''}`;
  const good = pick.violation_minutes_per_day <= GOOD.minutes && (pick.cost_ratio ?? 0) <= GOOD.cost;
  const equals = best(policies, prices);
  const others = policies.filter((one) => !equals.includes(one));
  const rival = least(others, (one) => over(one) * 1e6 + (one.cost_ratio ?? 0));
  const tone = good ? 'good' : 'warning';
  const head = equals.length > 1 ? `${together(equals.map((one) => `“${one.name}”`))} do equally well.` : `“${pick.name}” does best.`;
  if (!rival) {
    const cost = pick.cost_ratio === null ? '' : ` at ${times(pick.cost_ratio)} the least cost`;
    const text = `${sentenceCase(told(pick))} over capacity${cost}.`;
    if (equals.length === 1) return { tone, head: `“${pick.name}” alone.`, text: `${text} Choose another policy to compare with.` };
    return { tone, head, text: `${text} Nothing in this demand tells them apart: replay more of it, or with fewer or smaller units.` };
  }
  const parts = [`${sentenceCase(told(pick))} over capacity, where ${rival.name} has ${round(over(rival))}${costs(rival, pick)}.`];
  const cheapest = least(policies, (one) => one.cost_ratio ?? Infinity);
  if (cheapest && equals.includes(cheapest)) {
    parts.push(equals.length > 1 ? 'They are the cheapest, too.' : 'It is the cheapest, too.');
  } else if (cheapest && cheapest !== rival) {
    parts.push(`“${cheapest.name}” is cheapest and leaves ${told(cheapest)} without enough capacity.`);
  }
  return { tone, head, text: parts.join(' ') };
}

function costs(one: Policy, than: Policy): string {
  if (one.cost_ratio === null || !than.cost_ratio) return '';
  const more = one.cost_ratio / than.cost_ratio - 1;
  if (Math.abs(more) < 0.005) return ' and costs as much';
  return more > 0 ? ` and costs ${percent(Math.round(more * 100) / 100)} more` : ` and costs ${percent(Math.round(-more * 100) / 100)} less`;
}

const sentenceCase = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
export const times = (ratio: number | null): string => (ratio === null ? '–' : `${ratio.toFixed(2)}×`);

export function spans(trace: Trace, stretches: Stretch[]): Span[] {
  const start = seconds(trace.start);
  return stretches.map(([from, length]) => [start + from, start + from + length]);
}

/** Days that the default learns cautiously: of a shorter trace its figures are those of a newcomer. */
const LEARNS = 7;

export function newcomer(found: Simulation): boolean {
  return found.trace !== null && days(found.trace) < LEARNS && found.policies.some((one) => one.name === 'default');
}

/** The highest value of any policy's picture: equal charts share it. */
export function top(found: Simulation): number {
  const unit = found.trace?.unit_capacity ?? 1;
  let most = 0;
  for (const policy of found.policies) for (const row of policy.timeline ?? []) most = Math.max(most, row.demand ?? 0, row.ready * unit);
  return most;
}

export function minutesOver(policy: Policy): string {
  return policy.violation_minutes === 0 ? 'never over' : `${several(policy.violation_minutes, 'minute')} over`;
}

/** One policy's picture: what was ready under what was asked for, with the minutes over capacity exactly. The unit is told once for all. */
export function chartOf(policy: Policy, trace: Trace, most: number): Chart {
  const rows = policy.timeline ?? [];
  const from = seconds(trace.start);
  return {
    times: rows.map((row) => seconds(row.timestamp)),
    lines: [
      { label: 'ready capacity', kind: 'capacity', values: rows.map((row) => row.ready * trace.unit_capacity) },
      { label: 'demand', kind: 'measured', values: rows.map((row) => row.demand) },
    ],
    unit: '',
    format: round,
    over: spans(trace, policy.over),
    unknown: spans(trace, trace.missing),
    from,
    to: seconds(trace.end),
    most,
    sentence: `Under ${policy.name} from ${date(trace.start)} on: ${minutesOver(policy)}, cost ${times(policy.cost_ratio)} the least.`,
  };
}

/** The same numbers side by side, for the table. */
export function tableOf(found: Simulation, unit: string): Chart | undefined {
  const { trace, policies } = found;
  const first = policies[0]?.timeline;
  if (!trace || !first) return undefined;
  return {
    times: first.map((row) => seconds(row.timestamp)),
    lines: [
      { label: 'demand', kind: 'measured', values: first.map((row) => row.demand) },
      ...policies.map((policy) => ({
        label: `${policy.name}, ready`,
        kind: 'capacity' as const,
        values: (policy.timeline ?? []).map((row) => row.ready * trace.unit_capacity),
      })),
    ],
    unit,
    format: round,
    sentence: '',
  };
}

/** Places on a logarithmic axis that also has zero, which stands half a decade before one. */
export function logPlace(value: number): number {
  return value <= 1 ? Math.max(0, value) / 2 : 0.5 + Math.log10(value);
}

export type Scale = { ticks: number[]; place: (value: number) => number };

/** A scale of 0 to 1 for minutes: 0, 1, 3, 10, 30 and so on, as far as they reach and to 30 at least. */
export function minuteScale(values: number[]): Scale {
  const most = Math.max(30, ...values);
  const steps = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000];
  const last = steps.find((one) => one >= most) ?? most;
  const end = logPlace(last);
  return { ticks: steps.filter((one) => one <= last), place: (value) => logPlace(value) / end };
}

/** A scale of 0 to 1 for cost ratios, from a half below the least to above the most, in steps that read well. */
export function costScale(values: number[]): Scale {
  const low = Math.floor(Math.min(1, ...values) * 2) / 2;
  const high = Math.max(3, ...values) + 0.1;
  const step = [0.5, 1, 2, 5, 10, 20, 50, 100].find((one) => (high - low) / one <= 5) ?? 100;
  const least = Math.max(0, low - step / 2);
  const ticks: number[] = [];
  for (let at = Math.ceil(least / step) * step; at <= high; at += step) ticks.push(Number(at.toFixed(2)));
  return { ticks, place: (value) => (value - least) / (high - least) };
}

/** Policies of one family, such as hpa-50, hpa-60 and hpa-70, in order: a line joins them. */
export function families(policies: Policy[]): Policy[][] {
  const found = new Map<string, Policy[]>();
  for (const policy of policies) {
    const match = /^(.*)-(\d+)$/.exec(policy.name);
    if (match?.[1]) found.set(match[1], [...(found.get(match[1]) ?? []), policy]);
  }
  const order = (one: Policy): number => Number(/\d+$/.exec(one.name)?.[0]);
  return [...found.values()].filter((family) => family.length > 1).map((family) => family.sort((one, other) => order(one) - order(other)));
}
