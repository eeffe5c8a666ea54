/** What the page of shards says of balance, plans and moves. */
import { count, percent, several, span } from '../words.svelte';
import type { Approval, By, Layout, Move, Moves, Rebalanced, Shard, ZonePlan } from './answers';

export type Tone = 'good' | 'warning' | 'bad' | 'unknown';
export type Said = { tone: Tone; text: string };

export const measures: { value: By; text: string }[] = [
  { value: 'bytes', text: 'Bytes' },
  { value: 'rows', text: 'Rows' },
  { value: 'writes', text: 'Writes' },
  { value: 'buckets', text: 'Buckets' },
];

/** What is levelled, in a sentence about a shard: "62% of the bytes". */
const of: Record<By, string> = { bytes: 'the bytes', rows: 'the rows', writes: "a day's writes", buckets: 'the buckets' };

/** Whether every shard carries its share, in a sentence. */
export function balance(layout: Layout): Said {
  const [only, ...others] = layout.shards;
  if (only && others.length === 0) return { tone: 'unknown', text: `One shard, ${only.name}, has everything: there is nothing to balance.` };
  const off = layout.zones.find((zone) => zone.count > 0);
  if (off) {
    const most = furthest(off);
    const beyond = layout.zones.length > 1 ? ` of zone ${off.zone}` : '';
    const share = most ? `${most.name} carries ${percent(most.share)} of ${of[off.by]}${beyond}, its share is ${percent(most.share_target)}: ` : '';
    return { tone: 'warning', text: `${share}${several(off.count, 'move')} would level it.` };
  }
  const over = layout.zones.flatMap((zone) => zone.over);
  if (over.length > 0) {
    return { tone: 'warning', text: `${over.join(', ')} stays over its share: what it holds cannot be divided by buckets. Pin its heaviest course elsewhere.` };
  }
  return { tone: 'good', text: level(layout) };
}

/** Why nothing would move: what each shard carries itself, and where that is uneven, what a plan counts beside it. */
function level(layout: Layout): string {
  const by = layout.zones[0]?.by ?? 'bytes';
  const within = `every shard is within ${percent(layout.tolerance)} of its share`;
  const uneven = layout.shards
    .filter((one) => one.state !== 'drained')
    .map((one) => ({ name: one.name, share: carried(layout.shards, one, by), target: one.target }))
    .filter((one) => Math.abs(one.share - one.target) > layout.tolerance * one.target)
    .sort((one, other) => Math.abs(other.share - other.target) - Math.abs(one.share - one.target))[0];
  if (!uneven) return `${capital(within)} of ${of[by]}. Nothing would move.`;
  const courses = several(layout.shards.reduce((sum, one) => sum + one.courses, 0), 'course');
  return (
    `Nothing would move. ${uneven.name} carries ${percent(uneven.share)} of ${of[by]} and its share is ${percent(uneven.target)}, ` +
    `but that is the chance of ${courses}: with one more course of average size in each bucket, as a plan counts, ${within}.`
  );
}

/** A shard's own part of its zone. */
function carried(shards: Shard[], shard: Shard, by: By): number {
  const total = shards.filter((one) => one.zone === shard.zone).reduce((sum, one) => sum + one[by], 0);
  return total > 0 ? shard[by] / total : shard.target;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function furthest(zone: ZonePlan): ZonePlan['shards'][number] | undefined {
  const distance = (share: ZonePlan['shards'][number]): number => Math.abs(share.share - share.share_target);
  return [...zone.shards].sort((one, other) => distance(other) - distance(one))[0];
}

export const shardState: Record<Shard['state'], Said> = {
  active: { tone: 'good', text: 'In use' },
  joining: { tone: 'unknown', text: 'Joining' },
  draining: { tone: 'warning', text: 'Being emptied' },
  drained: { tone: 'unknown', text: 'Empty' },
};

/** What a dry run found, in a sentence. */
export function found(plan: Rebalanced): string {
  const before = plan.unfinished > 0 ? `${several(plan.unfinished, 'move')} of before would be ended first. ` : '';
  if (plan.planned === 0) return `${before}Nothing ${plan.unfinished > 0 ? 'else ' : ''}would move.`;
  const loads = plan.zones.filter((zone) => zone.count > 0).map((zone) => `${percent(zone.load)} of the load of ${zone.zone}`);
  return `${before}${several(plan.planned, 'move')}, ${loads.join(', ')}.`;
}

/** Who has agreed to what takes several: "1 of 2 operators agree: ada." */
export const agreement = (approvals: Approval[], needed: number): string =>
  `${approvals.length} of ${needed} operators agree: ${approvals.map((one) => one.by).join(', ')}.`;

/** All that an order would carry out. */
export const moving = (plan: Rebalanced): number => plan.unfinished + plan.planned;

export const scope = (move: Move): string => (move.course ? `Course ${move.tenant}/${move.course}` : `Bucket ${move.bucket}`);

const steps: Record<Move['state'], string> = {
  planned: 'waits',
  copying: 'rows are copied while they are used',
  fencing: 'writes wait, both sides are compared',
  flipped: 'the map has changed, the target answers',
  cleaning: 'rows are removed from the source',
  done: 'moved',
  aborting: 'is taken back',
  aborted: 'taken back',
};

/** How far a move is: "2 of 5: rows are copied while they are used". */
export const step = (move: Move): string => (move.step === null ? steps[move.state] : `${move.step} of ${move.steps}: ${steps[move.state]}`);

/** What came of a move. */
export const result = (move: Move): Said => (move.state === 'done' ? { tone: 'good', text: 'Moved' } : { tone: 'warning', text: 'Taken back' });

/** Moves in a sentence, for the head of their card. */
export function progress(moves: Moves): string {
  if (moves.under_way.length > 0) {
    return `${several(moves.under_way.length, 'move')} under way, ${count(moves.waiting_count)} waiting`;
  }
  if (moves.waiting_count > 0) return `${several(moves.waiting_count, 'move')} waiting, and nobody carries them out`;
  return moves.ended.length > 0 ? 'none under way' : '';
}

/** The longest that writes of a bucket have waited in the moves that are shown. */
export function longest(moves: Move[]): string {
  const most = Math.max(0, ...moves.map((move) => move.pause_ms));
  return most > 0 ? span(most / 1000) : '–';
}
