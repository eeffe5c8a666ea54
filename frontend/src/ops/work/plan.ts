/** A dry run in words, and which letters it would be worth to replay. */
import type { Shape } from '../../frame/shapes';
import { count, several } from '../words.svelte';
import type { Foreseen, Outcome, Plan } from './shapes';

export type Line = { tone: 'good' | 'warning' | 'bad' | 'unknown'; shape: Shape; head: string; details: { text: string; setting: string }[] };

const ORDER: Foreseen[] = ['runs', 'dies', 'held', 'refused', 'drops'];
const MOST_DETAILS = 4;

const HEADS: Record<Foreseen, { tone: Line['tone']; shape: Shape; say: (number: number) => string }> = {
  runs: { tone: 'good', shape: 'good', say: (number) => `${count(number)} would run now` },
  dies: { tone: 'warning', shape: 'warning', say: (number) => `${count(number)} would likely die again` },
  held: { tone: 'unknown', shape: 'info', say: (number) => `${count(number)} held: a live job does the same work` },
  refused: { tone: 'bad', shape: 'bad', say: (number) => `${count(number)} cannot be replayed` },
  drops: { tone: 'unknown', shape: 'info', say: (number) => `${several(number, 'letter')} would be discarded` },
};

/** One line for each thing that letters would come to. */
export function lines(plan: Plan): Line[] {
  return ORDER.flatMap((outcome) => {
    const groups = plan.groups.filter((group) => group.outcome === outcome);
    const number = total(plan, outcome);
    if (number === 0) return [];
    const { tone, shape, say } = HEADS[outcome];
    const told = groups.filter((group) => group.why !== '' && outcome !== 'held').slice(0, MOST_DETAILS);
    const details = told.map(({ kind, why, setting }) => ({ text: `${kind}: ${why}`, setting }));
    return [{ tone, shape, head: say(number), details }];
  });
}

export const total = (plan: Plan, outcome: Foreseen): number =>
  plan.groups.reduce((sum, group) => sum + (group.outcome === outcome ? group.letters : 0), 0);

/** The letters of a plan that would run. */
export const worthwhile = (plan: Plan): string[] => plan.letters.filter((one) => one.outcome === 'runs').map((one) => one.id);

const DONE: Record<string, string> = {
  replayed: 'replayed',
  dropped: 'discarded',
  held: 'left, since a live job does the same work',
  gone: 'gone before',
  before: 'done before',
};

/** What a run did: "3 replayed, 1 left, since a live job does the same work". */
export function told(outcome: Outcome): string {
  const parts = Object.entries(outcome.counts).map(([name, number]) => `${count(number)} ${DONE[name] ?? name}`);
  const refused = Object.keys(outcome.refused).length;
  if (refused > 0) parts.push(`${count(refused)} could not be: ${Object.values(outcome.refused)[0]}`);
  return parts.join(', ') || 'nothing was left to do';
}

/** Two answers of one run as one. */
export function added(before: Outcome | null, next: Outcome): Outcome {
  if (before === null) return next;
  const counts = { ...before.counts };
  for (const [name, number] of Object.entries(next.counts)) {
    // What the first call has done is not done again, and is no news.
    if (name !== 'before' && name !== 'gone') counts[name] = (counts[name] ?? 0) + number;
  }
  return { ...next, counts };
}
