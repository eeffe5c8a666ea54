/** A capacity plan in words, as a picture's places and as a file. Pure. */
import { bytes, count, fullDate, money, percent, round, several } from '../words.svelte';
import type { Action, Component, Figure, Plan, Swing, Until } from './shapes';

const DAY = 86_400_000;
const at = (text: string): number => Date.parse(text);

/** What is done, for people: the same words as the command's. */
const DOES: Record<string, string> = {
  add_process: 'Add web processes',
  add_consumer: 'Add workers',
  add_read_replica: 'Add a read replica',
  add_shard: 'Add a shard and move courses to it',
  add_storage: 'Add disks',
  add_memory: 'Add memory',
};

export const day = (text: string | null): string => (text === null ? 'later' : fullDate(text));

/** "6 Feb – 19 Mar 2027 (90% interval)", whatever of it is known. */
export function interval(until: Until): string {
  if (until.low === null) return '–';
  if (until.low === until.high) return day(until.low);
  return `${day(until.low)} – ${day(until.high)}`;
}

export function amount(value: number, unit: string): string {
  if (unit === 'bytes') return bytes(value);
  if (unit === 'share') return percent(value);
  return unit ? `${round(value)} ${value === 1 ? unit.replace(/s$/, '') : unit}` : round(value);
}

/** "11 web processes": how many in the middle, and between which. */
export function extent(figure: Figure | null, unit: string): string {
  if (figure === null) return '–';
  const plain = (value: number): string => amount(value, unit === 'bytes' || unit === 'share' ? unit : '');
  if (figure.low === figure.high) return amount(figure.middle, unit);
  if (figure.middle === 0) return `up to ${amount(figure.high, unit)}`;
  return `${amount(figure.middle, unit)} (${plain(figure.low)} to ${plain(figure.high)})`;
}

export function cost(figure: Figure | null, currency: string): string {
  return figure === null ? '–' : `+ ${money(figure.middle, currency)} (${round(figure.low)}–${round(figure.high)})`;
}

export function does(action: Action): string {
  return DOES[action.action] ?? action.action;
}

export const lead = (days: number): string => several(Math.round(days), 'day');

/** What there is of a component, and what of it comes by itself. */
export function bears(one: Component): string {
  const all = amount(one.capacity?.middle ?? 0, one.unit);
  if (one.mode === null || one.ceiling === one.units) return `What there is bears ${all}.`;
  const runs = `${several(one.units, 'process', 'processes')} ${one.units === 1 ? 'runs' : 'run'}; up to ${count(one.ceiling)} may, which bear ${all}`;
  return one.mode === 'auto' ? `${runs} and come by themselves.` : `${runs}. Its mode is ${one.mode}: they are added once it is auto, or by you.`;
}

/** What is missing at the peak of now although bounds allow it, as nothing adds it by itself. */
export function missing(plan: Plan): string {
  const most = new Map<string, Component>();
  for (const one of plan.components) {
    const name = one.name === 'workers' ? 'workers' : 'web';
    if (one.short > (most.get(name)?.short ?? 0)) most.set(name, one);
  }
  return [...most]
    .map(([name, one]) => `At its peak ${name} takes ${one.units + one.short} processes and ${one.units} ${one.units === 1 ? 'runs' : 'run'}: its bounds allow them, they start within minutes once its mode is auto (it is ${one.mode ?? 'off'}).`)
    .join(' ');
}

export type Said = { tone: 'good' | 'warning' | 'bad' | 'unknown'; head: string; text: string; begin: string };

/** What runs out first, within which interval, and by when to begin. */
export function verdict(plan: Plan): Said {
  const first = plan.first;
  if (!first) {
    const reach = plan.components.map((one) => one.supported_until).sort()[0];
    return {
      tone: plan.components.length > 0 ? 'good' : 'unknown',
      head: 'Nothing runs out within what can be told,',
      text: reach ? `which is until ${fullDate(reach)} at least.` : 'as nothing has been measured yet.',
      begin: '',
    };
  }
  const action = plan.actions.find((one) => one.component === first.component);
  const { low, high } = first.runs_out;
  const past = high !== null && high <= plan.made_at.slice(0, 10);
  const between = high === null ? `from ${day(low)} on` : `between ${day(low)} and ${day(high)}`;
  const when = past ? 'which is now: its need is over what there is.' : `${between} (90% interval).`;
  if (!action) return { tone: 'warning', head: `${capital(first.component)} runs out first,`, text: when, begin: '' };
  const takes = `${does(action)}: that takes ${lead(action.lead_days)}.`;
  if (action.overdue) {
    return {
      tone: 'bad',
      head: `${capital(first.component)} runs out first,`,
      text: `${when} ${takes} To be sure it should have begun by`,
      begin: fullDate(action.begin_by),
    };
  }
  return { tone: 'warning', head: `${capital(first.component)} runs out first,`, text: `${when} ${takes} Start by`, begin: fullDate(action.begin_by) };
}

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Components in the order in which they run out, as `first` of a plan has it; those that last at the end, by name. */
export function inOrder(components: Component[]): Component[] {
  const key = ({ runs_out: { low, middle, high } }: Component): string => [middle, low, high].map((date) => date ?? 'later').join();
  return [...components].sort((one, other) => key(one).localeCompare(key(other)) || one.name.localeCompare(other.name));
}

/** Places of an interval between now and the horizon, 0 to 1; null where it does not come within it. */
export function bar(until: Until, from: string, to: string): { low: number; middle: number | null; high: number } | null {
  if (until.low === null) return null;
  const begin = at(from.slice(0, 10));
  const share = (text: string): number => Math.min(1, Math.max(0, (at(text) - begin) / Math.max(DAY, at(to) - begin)));
  if (at(until.low) > at(to)) return null;
  return { low: share(until.low), middle: until.middle === null ? null : share(until.middle), high: until.high === null ? 1 : share(until.high) };
}

/** Where what a component needs is measured, and what of it: the highest in a slot. None where it is reckoned. */
export function measuredAs(name: string): { component: string; metric: string; part: string } | null {
  const plain: Record<string, [string, string]> = {
    web: ['web', 'demand'],
    'web requests': ['web', 'throughput'],
    rooms: ['rooms', 'largest_room'],
    sockets: ['rooms', 'sockets'],
  };
  const known = plain[name];
  if (known) return { component: known[0], metric: known[1], part: '' };
  const database = /^database (.+) (writes|reads)$/.exec(name);
  if (!database?.[1]) return null;
  return { component: 'database', metric: database[2] === 'writes' ? 'writers_busy' : 'readers_busy', part: database[1] };
}

export type Past = { at: number; value: number }[];

/** The highest of each day, of points in order of time. */
export function daily(points: { timestamp: string; most: number | null }[]): Past {
  const found = new Map<number, number>();
  for (const { timestamp, most } of points) {
    if (most === null) continue;
    const day = Math.floor(at(timestamp) / DAY) * DAY;
    found.set(day, Math.max(found.get(day) ?? 0, most));
  }
  return [...found].map(([day, value]) => ({ at: day, value })).sort((one, other) => one.at - other.at);
}

/** The swings of one component's date, the widest first, in words. */
export function swings(plan: Plan, component: string): string[] {
  return plan.sensitivity.filter((one) => one.component === component && one.days !== 0).map(swing);
}

function swing(one: Swing): string {
  const name = capital(one.input);
  if (one.days !== null) return `${name} ±${several(Math.round(one.days / 2), 'day')}`;
  if (one.date_low === null && one.date_high === null) return `${name}: later than can be told either way`;
  return `${name}: ${day(one.date_low)} or ${day(one.date_high)}`;
}

const quoted = (value: string | number | null): string => {
  const text = String(value ?? '');
  // A spreadsheet takes what begins so for a formula.
  const safe = /^[=+\-@\t]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** The plan as CSV: a row for each component, with what to do. */
export function asCsv(plan: Plan): string {
  const head = [
    'component', 'unit', 'need now', 'capacity', 'runs out early', 'runs out middle', 'runs out late', 'action', 'lead days', 'start by',
    'add', 'cost a month', 'currency',
  ];
  const rows = inOrder(plan.components).map((one) => {
    const action = plan.actions.find((found) => found.component === one.name);
    return [
      one.name, one.unit, one.need_now.middle, one.capacity?.middle ?? null, one.runs_out.low, one.runs_out.middle, one.runs_out.high,
      action ? does(action) : 'None needed', action?.lead_days ?? null, action?.begin_by ?? null, action?.add?.middle ?? null,
      action?.monthly_cost?.middle ?? null, plan.cost?.currency ?? null,
    ];
  });
  return [head, ...rows].map((row) => row.map(quoted).join(',')).join('\n') + '\n';
}
