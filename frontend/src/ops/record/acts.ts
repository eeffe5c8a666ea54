/** Entries of the audit log, as the server gives them and as people read them. */
import type { Shape } from '../../frame/shapes';

export type Act = {
  number: number;
  at: string;
  operator: string;
  who: string;
  role: 'operator' | 'read-only';
  source: 'token' | 'oidc' | 'command';
  method: string;
  action: string;
  objects: Record<string, string>;
  why: string;
  status: number | null;
};
export type ActPage = { entries: Act[]; before: number | null };
export type Outcome = { tone: 'good' | 'warning' | 'bad' | 'unknown'; shape: Shape; text: string };

/** "Approve event": what was done, from the name of the act. */
export function deed(act: Act): string {
  const words = act.action.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** "fleet web, seconds 3600": what it was done to. */
export const objects = (act: Act): string =>
  Object.entries(act.objects)
    .map(([name, value]) => (name === 'id' ? value : `${name.replaceAll('_', ' ')} ${value}`))
    .join(', ');

/** How it was answered. */
export function outcome({ status }: Act): Outcome {
  if (status === null) return { tone: 'unknown', shape: 'unknown', text: 'No answer' };
  if (status < 400) return { tone: 'good', shape: 'good', text: 'Done' };
  if (status === 403) return { tone: 'warning', shape: 'warning', text: 'Not allowed' };
  if (status < 500) return { tone: 'warning', shape: 'warning', text: `Refused (${status})` };
  return { tone: 'bad', shape: 'bad', text: `Failed (${status})` };
}

/** What is read so far: the newest page, then what was read beyond it, nothing twice. */
export function joined(newest: Act[], older: Act[]): Act[] {
  const last = newest.at(-1)?.number ?? 0;
  return [...newest, ...older.filter((one) => one.number < last)];
}
