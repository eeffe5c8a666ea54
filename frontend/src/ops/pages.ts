/**
 * The console's pages. A page is a component that is loaded when it is opened; it gets the variable parts of its
 * address as `params`. A page without a group is reached from another one and belongs to that one's entry.
 */
import type { Component } from 'svelte';
import type { Counts } from './live.svelte';

export type Group = 'Now' | 'Work' | 'Data' | 'Ahead' | 'Record';
export type PageProps = { params: Record<string, string> };
export type Page = {
  /** Such as /ops/decisions/:id. */
  path: string;
  title: string;
  group?: Group;
  /** The entry of the navigation that is marked, for a page without a group. */
  under?: string;
  /** Which count of the live summary stands beside it. */
  count?: keyof Counts;
  load: () => Promise<{ default: Component<PageProps> | Component<Record<string, never>> }>;
};
export type Found = { page: Page; params: Record<string, string> };

export const groups: Group[] = ['Now', 'Work', 'Data', 'Ahead', 'Record'];

export const pages: Page[] = [
  { path: '/ops', title: 'Overview', group: 'Now', load: () => import('./now/Overview.svelte') },
  { path: '/ops/alerts', title: 'Alerts', group: 'Now', count: 'alerts', load: () => import('./now/Alerts.svelte') },
  { path: '/ops/decisions', title: 'Decisions', group: 'Now', count: 'decisions', load: () => import('./now/Decisions.svelte') },
  { path: '/ops/decisions/:id', title: 'Decision', under: '/ops/decisions', load: () => import('./now/Decision.svelte') },
  { path: '/ops/components', title: 'Components', group: 'Now', load: () => import('./now/Components.svelte') },
  { path: '/ops/forecast', title: 'Forecast, schedule', group: 'Ahead', load: () => import('./ahead/Forecast.svelte') },
  { path: '/ops/simulator', title: 'Simulator', group: 'Ahead', load: () => import('./ahead/Simulator.svelte') },
  { path: '/ops/capacity', title: 'Capacity plan', group: 'Ahead', load: () => import('./ahead/Capacity.svelte') },
  { path: '/ops/costs', title: 'Costs', group: 'Ahead', load: () => import('./ahead/Costs.svelte') },
  { path: '/ops/shards', title: 'Shards and moves', group: 'Data', load: () => import('./data/Shards.svelte') },
  { path: '/ops/replicas', title: 'Replicas', group: 'Data', load: () => import('./data/Replicas.svelte') },
  { path: '/ops/regions', title: 'Regions, assets', group: 'Data', load: () => import('./data/Regions.svelte') },
  { path: '/ops/cache', title: 'Cache', group: 'Data', load: () => import('./data/Cache.svelte') },
  { path: '/ops/limits', title: 'Limits and dependencies', group: 'Data', load: () => import('./data/Limits.svelte') },
  { path: '/ops/audit', title: 'Audit log', group: 'Record', load: () => import('./record/Audit.svelte') },
  { path: '/ops/settings', title: 'Settings', group: 'Record', load: () => import('./record/Settings.svelte') },
  { path: '/ops/rooms', title: 'Rooms', group: 'Now', load: () => import('./work/Rooms.svelte') },
  { path: '/ops/queues', title: 'Queues and jobs', group: 'Work', load: () => import('./work/Queues.svelte') },
  { path: '/ops/queues/:queue', title: 'Queue', under: '/ops/queues', load: () => import('./work/Queue.svelte') },
  { path: '/ops/jobs/:id', title: 'Job', under: '/ops/queues', load: () => import('./work/Job.svelte') },
  { path: '/ops/dead-letters', title: 'Dead letters', group: 'Work', count: 'dead_letters', load: () => import('./work/DeadLetters.svelte') },
  { path: '/ops/load-tests', title: 'Load tests', group: 'Work', load: () => import('./work/LoadTests.svelte') },
  { path: '/ops/load-tests/:id', title: 'Load test', under: '/ops/load-tests', load: () => import('./work/LoadTest.svelte') },
];

/** The page of an address, and its variable parts. */
export function find(path: string): Found | undefined {
  const asked = path.replace(/\/+$/, '').split('/');
  for (const page of pages) {
    const parts = page.path.split('/');
    if (parts.length !== asked.length) continue;
    const params: Record<string, string> = {};
    const fits = parts.every((part, index) => {
      const given = asked[index] ?? '';
      if (!part.startsWith(':')) return part === given;
      params[part.slice(1)] = decoded(given);
      return given !== '';
    });
    if (fits) return { page, params };
  }
  return undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
