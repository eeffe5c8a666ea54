/** What the page of the cache says. */
import { percent, several } from '../words.svelte';
import type { Cached, Dropped, Layers, LogEntry } from './answers';
import type { Said } from './shards';

/** Reads by where they were answered; `of` is null where nothing was read. */
export type Hits = { memory: number; nats: number; loads: number; all: number };

export function hits(processes: Layers[]): Hits {
  const sum = (of: (one: Layers) => number): number => processes.reduce((total, one) => total + of(one), 0);
  const found = { memory: sum((one) => one.memory_hits), nats: sum((one) => one.nats_hits), loads: sum((one) => one.loads) };
  return { ...found, all: found.memory + found.nats + found.loads };
}

export const share = (part: number, all: number): number => (all > 0 ? part / all : 0);

/** Whether every process hears of changes, and how much is answered from the cache, in a sentence. */
export function cacheSaid(value: Cached): Said {
  const deaf = value.processes.filter((one) => one.hears === false);
  if (value.processes.length === 0) return { tone: 'unknown', text: 'No process has reported yet; each does every 15 seconds.' };
  if (deaf.length > 0) {
    const who = deaf.map((one) => one.process).join(', ');
    return { tone: 'warning', text: `${who} cannot hear of changes: values there live for seconds only until NATS is back (cache.cut_seconds).` };
  }
  const { memory, nats, all } = hits(value.processes);
  if (all === 0) return { tone: 'unknown', text: 'Nothing has been asked of the cache since its processes started.' };
  return { tone: 'good', text: `${percent(share(memory + nats, all))} of what was asked for was remembered, the rest was loaded from the databases.` };
}

/** Where a process stands with changes: it hears of them, or works alone. */
export function hearing(one: Layers): Said {
  if (one.hears === null) return { tone: 'unknown', text: 'Alone' };
  return one.hears ? { tone: 'good', text: 'Hears changes' } : { tone: 'warning', text: 'Does not hear' };
}

export function dropped(answer: Dropped): string {
  const where = `${several(answer.in_memory, 'value')} in this process` + (answer.on_nats === null ? '' : `, ${answer.on_nats} on NATS`);
  if (answer.dry_run) return `Would drop ${where}.`;
  return answer.note ? `Dropped ${where}; ${answer.note}.` : `Dropped ${where}; every process was told.`;
}

/** An entry of the log: "cache dropped: course-1 of t-1". */
export function logged(entry: LogEntry): string {
  const { space, tenant, course, everything } = entry.details as Record<string, string | undefined>;
  const whose = [course, tenant && `of ${tenant}`].filter(Boolean).join(' ');
  const what = [space, whose].filter(Boolean).join(', ') || (everything ? 'everything' : '');
  return what ? `${entry.what}: ${what}` : entry.what;
}
