/** What a lane of jobs comes to, in words and shares. */
import type { Shape } from '../../frame/shapes';
import type { Depths } from '../live.svelte';
import { ago, count, round, several, span, when } from '../words.svelte';
import type { Lane, Lanes, State } from './shapes';

const NAMES: Record<string, string> = {
  video: 'Video',
  analytics: 'Scores and watching',
  notifications: 'Notifications',
  rosters: 'Rosters',
  assets: 'Copies to stores',
};

export const laneName = (queue: string): string => NAMES[queue] ?? queue;

export const stateNames: Record<State, string> = {
  queued: 'Waiting',
  delayed: 'Later',
  blocked: 'Behind another',
  running: 'Running',
  done: 'Done',
  dead: 'Dead letter',
  cancelled: 'Called off',
};

export type Standing = { tone: 'good' | 'warning' | 'unknown'; shape: Shape; text: string };

const LIVE: State[] = ['queued', 'delayed', 'blocked', 'running'];

/** Lanes as they were read, with how deep they are by now. */
export function followed(lanes: Lanes, depths: Depths): Lanes {
  const queues = lanes.queues.map((lane) => {
    const now = depths[lane.queue];
    if (!now) return lane;
    const states = { ...lane.states, ...Object.fromEntries(LIVE.map((state) => [state, now[state] ?? 0])) };
    return { ...lane, states, oldest_wait_seconds: now['queued'] ? lane.oldest_wait_seconds : 0 };
  });
  return { ...lanes, queues };
}

/** How a lane stands: paused, late, on time, or without a goal to be late for. */
export function standing(lane: Lane): Standing {
  if (lane.paused_since !== null) {
    const by = lane.paused_by ? ` by ${lane.paused_by}` : '';
    const ends = lane.paused_until ? ` until ${when(lane.paused_until)}` : `, ${ago(lane.paused_since)}`;
    return { tone: 'unknown', shape: 'paused', text: `Paused${by}${ends}` };
  }
  const late = lateness(lane);
  if (late > 0) return { tone: 'warning', shape: 'warning', text: `Late by ${span(late)}` };
  if (lane.goal_seconds === null) return { tone: 'unknown', shape: 'unknown', text: 'No goal' };
  return { tone: 'good', shape: 'good', text: 'On time' };
}

/** Seconds by which the oldest waiting job has passed its goal; 0 where none has. */
export const lateness = (lane: Lane): number =>
  lane.goal_seconds === null ? 0 : Math.max(0, lane.oldest_wait_seconds - lane.goal_seconds);

/** The oldest wait as a share of its goal, 0 to 1; null without a goal. */
export const share = (lane: Lane): number | null =>
  lane.goal_seconds === null ? null : Math.min(1, lane.oldest_wait_seconds / lane.goal_seconds);

export const waiting = (lane: Lane): number => lane.states.queued ?? 0;
export const running = (lane: Lane): number => lane.states.running ?? 0;
export const dead = (lane: Lane): number => lane.states.dead ?? 0;

/** Those with the largest share of the slots first; those that are no longer declared last. */
export function ordered(lanes: Lane[]): Lane[] {
  return [...lanes].sort((a, b) => (b.weight ?? -1) - (a.weight ?? -1) || a.queue.localeCompare(b.queue));
}

/** The page's second line: "2,060 waiting · 18.2 jobs/s done · 7 dead letters". */
export function summary({ queues }: Lanes): string {
  const sum = (of: (lane: Lane) => number): number => queues.reduce((all, lane) => all + of(lane), 0);
  const rate = sum((lane) => lane.per_minute) / 60;
  return [
    `${count(sum(waiting))} waiting`,
    `${count(sum(running))} running`,
    `${round(rate)} jobs/s done`,
    several(sum(dead), 'dead letter'),
  ].join(' · ');
}

/** What the bar of a lane says to who does not see it. */
export function barText(lane: Lane): string {
  if (lane.goal_seconds === null) return 'No goal';
  return `The oldest job has waited ${span(lane.oldest_wait_seconds)} of ${span(lane.goal_seconds)}`;
}

/** Shards that did not answer, in a sentence; empty where all did. */
export function lacking(missing: Record<string, string>): string {
  const names = Object.keys(missing);
  return names.length === 0 ? '' : `Without ${names.join(', ')}, which did not answer: ${Object.values(missing)[0]}`;
}
