/** What the page of limits and dependencies says. */
import { bytes, count, percent, round, several } from '../words.svelte';
import type { Dependencies, Limit, Standing } from './answers';
import type { Said } from './shards';

/** Which limits are shown: nearly reached or having refused, or all. */
export const near = (limit: Limit): boolean => limit.near || limit.refused > 0;

/** The fullest first, then those that have refused, then by name. */
export function fullest(limits: Limit[]): Limit[] {
  return [...limits].sort((one, other) => (other.usage ?? -1) - (one.usage ?? -1) || other.refused - one.refused || one.name.localeCompare(other.name));
}

export function limitState(limit: Limit): Said {
  if (limit.near) return { tone: 'warning', text: 'Nearly reached' };
  if (limit.usage === null) return { tone: 'unknown', text: 'Not told' };
  return { tone: 'good', text: 'Room' };
}

/** "910 of 1,000 sockets"; what nobody has told is not a zero. */
export function used(limit: Limit): string {
  const written = (value: number | null, unknown: string): string =>
    value === null ? unknown : limit.unit === 'bytes' ? bytes(value) : round(value);
  const unit = limit.unit === 'bytes' ? '' : ` ${limit.unit}`;
  return `${written(limit.value, 'not known')} of ${written(limit.most, '–')}${unit}`;
}

/** Limits and breakers in a sentence. */
export function limitsSaid(limits: Limit[], dependencies: Dependencies | undefined): Said {
  const open = dependencies?.open ?? [];
  const full = limits.filter((one) => one.near);
  const parts = [];
  if (open.length > 0) parts.push(`${[...new Set(open.map((one) => one.name))].join(', ')} ${open.length === 1 ? 'is' : 'are'} left alone after failures`);
  if (full.length > 0) parts.push(`${several(full.length, 'limit')} nearly reached: ${full.map((one) => one.name).join(', ')}`);
  if (parts.length > 0) return { tone: open.length > 0 ? 'bad' : 'warning', text: `${parts.join('. ')}.` };
  const top = fullest(limits.filter((one) => one.about === 'level'))[0];
  const most = top && top.usage !== null ? `; the fullest is ${top.name}, at ${percent(top.usage)}` : '';
  return { tone: 'good', text: `No limit is nearly reached${most}. No breaker is open.` };
}

const states: Record<Standing['state'], Said> = {
  closed: { tone: 'good', text: 'Used' },
  'half-open': { tone: 'warning', text: 'Being tried' },
  open: { tone: 'bad', text: 'Left alone' },
  none: { tone: 'good', text: 'Used, no breaker' },
};
export const standingState = (one: Standing): Said => states[one.state];

/** "calls 12, failures 1" */
export const counted = (one: Standing): string =>
  Object.entries(one.counts)
    .filter(([, number]) => number > 0)
    .map(([name, number]) => `${name} ${count(number)}`)
    .join(', ') || '–';
