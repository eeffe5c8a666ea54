/** How decisions, figures and alerts are put into words. */
import type { Shape } from '../../frame/shapes';
import type { EventState, FigureShown, Told, Unit } from '../answers';
import { bytes, count, percent, round, span } from '../words.svelte';

export type Tone = 'good' | 'warning' | 'bad' | 'unknown' | 'accent';
export type Look = { tone: Tone; shape: Shape; text: string };

export function inUnit(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined) return '–';
  if (unit === 'share') return percent(value);
  if (unit === 's') return span(value);
  if (unit === 'bytes') return bytes(value);
  return unit === 'number' ? count(Math.round(value)) : round(value);
}

/** What the units of a fleet are called. */
const units: Record<string, string> = { web: 'Web', workers: 'Workers', shards: 'Shards' };
export const fleetName = (fleet: string): string =>
  units[fleet] ?? (fleet.startsWith('replicas/') ? `Replicas of shard ${fleet.slice(9)}` : fleet);

/** "Workers 3 → 5", or "Workers: held". */
export const change = (event: Told): string =>
  event.action === 'hold' || event.before === event.after
    ? `${fleetName(event.fleet)}: held at ${event.before}`
    : `${fleetName(event.fleet)} ${event.before} → ${event.after}`;

const states: Record<EventState, Look> = {
  shadowed: { tone: 'warning', shape: 'shadow', text: 'Shadow only' },
  awaiting: { tone: 'accent', shape: 'waiting', text: 'Waits for you' },
  acting: { tone: 'accent', shape: 'working', text: 'Under way' },
  done: { tone: 'good', shape: 'good', text: 'Done' },
  failed: { tone: 'bad', shape: 'bad', text: 'Failed' },
  rolled_back: { tone: 'warning', shape: 'warning', text: 'Taken back' },
  refused: { tone: 'unknown', shape: 'paused', text: 'Not done' },
  expired: { tone: 'unknown', shape: 'waiting', text: 'Expired' },
};
const outcomes: Record<string, Look> = {
  met: { tone: 'good', shape: 'good', text: 'Helped' },
  'met anyway': { tone: 'warning', shape: 'warning', text: 'Not needed' },
  outgrown: { tone: 'warning', shape: 'warning', text: 'Outgrown' },
  missed: { tone: 'bad', shape: 'bad', text: 'Did not help' },
};

/** How often the acts of a rule did what they should, and how many of them would not have been needed. */
export function effect(rule: { rate: { rate: number | null; judged: number }; outcomes: Record<string, number> }): string {
  if (rule.rate.rate === null) return 'none judged';
  const needless = rule.outcomes['met anyway'] ?? 0;
  return `${percent(rule.rate.rate)} of ${rule.rate.judged}${needless ? `, ${needless} not needed` : ''}`;
}

/** What became of a decision: its effect where it was judged, else how far it has come. */
export function standing(event: Told): Look {
  if (event.state === 'refused' && event.action === 'hold') return { tone: 'unknown', shape: 'paused', text: 'Held' };
  if (event.state === 'awaiting' && event.approved) return { tone: 'accent', shape: 'working', text: 'Approved' };
  const judged = ['done', 'shadowed'].includes(event.state) ? outcomes[event.outcome] : undefined;
  if (judged) return event.state === 'shadowed' ? { ...judged, text: `Shadow: ${judged.text.toLowerCase()}` } : judged;
  return states[event.state];
}

export const modes = { off: 'Off', shadow: 'Shadow', approve: 'Approve', auto: 'Auto' };
export const modeMeans = {
  off: 'Off: decides nothing.',
  shadow: 'Shadow: decides and scores, never acts.',
  approve: 'Approve: decides and asks.',
  auto: 'Auto: decides and acts.',
};

export function severity(of: { severity: string; state?: string }): Look {
  if (of.state === 'silenced') return { tone: 'unknown', shape: 'silent', text: 'Silenced' };
  if (of.state === 'pending') return { tone: 'unknown', shape: 'waiting', text: 'Pending' };
  if (of.severity === 'critical') return { tone: 'bad', shape: 'bad', text: 'Critical' };
  if (of.severity === 'warning') return { tone: 'warning', shape: 'warning', text: 'Warning' };
  return { tone: 'accent', shape: 'info', text: 'Information' };
}

/** The limit of a rule in the unit of what it looks at, which the rule's condition begins with. */
export function limitOf(condition: string, limit: number): string {
  const what = /^\w+/.exec(condition)?.[0] ?? '';
  if (/utili[sz]ation|errors|usage|success_rate|lock_wait/.test(what)) return percent(limit);
  if (/_p\d+$|_oldest$|_lag$|_behind$/.test(what)) return span(limit);
  return round(limit);
}

/** The highest upper line of the hours ahead; null where nothing is forecast. */
export function expectedTop(figure: FigureShown): number | null {
  const coming = figure.expected?.p95.slice(figure.points.length).filter((value) => value !== null) ?? [];
  return coming.length === 0 ? null : Math.max(...coming);
}

/** What a small chart shows, in a sentence. */
export function told(title: string, figure: FigureShown): string {
  const known = figure.points.filter((value) => value !== null);
  if (known.length === 0) return `${title}, ${figure.name}: nothing was measured in the last day.`;
  const over = figure.limit === null ? 0 : known.filter((value) => value > (figure.limit ?? Infinity)).length;
  const now = figure.value === null ? 'no data now' : `${inUnit(figure.value, figure.unit)} now`;
  const limit = figure.limit === null ? '' : `, over ${inUnit(figure.limit, figure.unit)} for ${span(over * 300)}`;
  const top = expectedTop(figure);
  const ahead = top === null ? '' : ` Expected in the next hours: up to ${inUnit(top, figure.unit)}.`;
  return `${title}, ${figure.name}: ${now}, at most ${inUnit(Math.max(...known), figure.unit)} in the last day${limit}.${ahead}`;
}

/** The name of an input of a decision as people say it: "web.utilisation" stays, underscores do not. */
export const input = (name: string): string => name.replaceAll('_', ' ');
