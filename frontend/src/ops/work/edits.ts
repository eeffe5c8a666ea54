/** What an operator changed in the JSON that a job carries, as the edits that a replay takes. */
import type { Action } from './shapes';

export type Edit = { field: string; value: unknown };
export type Change = Edit & { before: unknown };
export type Edited = { changes: Change[] } | { problem: string };

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** The changes that lead from what a job carries to a text; or why none do. Whether they fit, the server says. */
export function edited(payload: Json, text: string): Edited {
  let wanted: unknown;
  try {
    wanted = JSON.parse(text);
  } catch (error) {
    return { problem: `This is not JSON: ${error instanceof Error ? error.message : String(error)}.` };
  }
  if (!isObject(wanted)) return { problem: 'What a job carries is an object: it begins with { and ends with }.' };
  const changes: Change[] = [];
  const gone = compare(payload, wanted, '', changes);
  if (gone) return { problem: `${gone} is missing: a change gives fields other values, and leaves every field there.` };
  return { changes };
}

/** Collects what differs; the first field that is gone, if one is. */
function compare(before: Json, after: Json, path: string, changes: Change[]): string {
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) return path + name;
  for (const [name, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, name) ? before[name] : undefined;
    if (isObject(old) && isObject(value)) {
      const gone = compare(old, value, `${path}${name}.`, changes);
      if (gone) return gone;
    } else if (!same(old, value)) changes.push({ field: path + name, before: old, value });
  }
  return '';
}

/** "replayed with parts from 3 to 4": what was done to a letter, from its entry in the log. */
export function deed({ action, before, after }: Action): string {
  if (action === 'dead-letter.dropped') return 'discarded';
  const changes = Object.entries(after).map(([field, value]) => said({ field, before: before[field], value }));
  return changes.length > 0 ? `replayed with ${changes.join(', ')}` : 'replayed';
}

/** "parts from 3 to 4" */
export const said = ({ field, before, value }: Change): string =>
  before === undefined ? `${field} as ${JSON.stringify(value)}` : `${field} from ${JSON.stringify(before)} to ${JSON.stringify(value)}`;
