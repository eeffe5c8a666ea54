/** What is asked of a simulation, checked before it is sent. Pure. */
import { count } from '../words.svelte';

/** What a field may be, as the server has it: from, to, in what. */
export const FIELDS = {
  days: { name: 'the last days', from: 0.25, to: 400, unit: 'days', over: false },
  unit_capacity: { name: 'what a unit does', from: 0, to: 1e12, unit: '', over: true },
  start_delay: { name: 'the start delay', from: 0, to: 86_400, unit: 's', over: false },
  tick: { name: 'how often is decided', from: 1, to: 3600, unit: 's', over: false },
  min: { name: 'the fewest units', from: 0, to: 1_000_000, unit: '', over: false },
  max: { name: 'the most units', from: 1, to: 1_000_000, unit: '', over: false },
} as const;

export type Given = Partial<Record<keyof typeof FIELDS, number | null | undefined>>;

/** What is wrong with the first field that is, and what is allowed; empty where nothing is. An empty field is as usual. */
export function wrong(given: Given): string {
  for (const [key, { name, from, to, unit, over }] of Object.entries(FIELDS)) {
    const value = given[key as keyof typeof FIELDS];
    if (value === null || value === undefined) continue;
    const whole = key === 'min' || key === 'max';
    if (value > to || value < from || (over && value === from) || (whole && !Number.isInteger(value))) {
      const allowed = over ? `more than ${count(from)}` : `${whole ? 'a whole number from' : 'from'} ${from < 1 ? from : count(from)} to ${count(to)}${unit && ` ${unit}`}`;
      return `${capital(name)}: ${value} is not possible; write ${allowed}.`;
    }
  }
  const { min, max } = given;
  return typeof min === 'number' && typeof max === 'number' && min > max ? `The fewest units, ${min}, are more than the most, ${max}.` : '';
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
