/** What the page of regions and assets says. */
import { count, several } from '../words.svelte';
import type { Assets, CopyState, Count, Receipt, Region, RegionEvent } from './answers';
import type { Said } from './shards';

export function regionState(one: Region): Said {
  if (one.drained) return { tone: 'warning', text: 'Drained' };
  if (one.well === null) return { tone: 'unknown', text: 'Not asked' };
  if (one.well && one.why) return { tone: 'warning', text: 'Last probe failed' };
  return one.well ? { tone: 'good', text: 'Well' } : { tone: 'bad', text: 'Away' };
}

/** How the regions are, in a sentence. */
export function regionsSaid(regions: Region[]): Said {
  const away = regions.filter((one) => one.well === false && !one.drained);
  const drained = regions.filter((one) => one.drained);
  if (away.length > 0) return { tone: 'bad', text: `${names(away)} ${away.length === 1 ? 'is' : 'are'} away: visits go to the next region that may answer.` };
  if (drained.length > 0) return { tone: 'warning', text: `${names(drained)} ${drained.length === 1 ? 'gets' : 'get'} no new visits.` };
  const failing = regions.filter((one) => one.well && one.why);
  if (failing.length > 0) return { tone: 'warning', text: `${names(failing)} did not answer the last probe; several in a row make a region away (regions.probes.down).` };
  return { tone: 'good', text: `${several(regions.length, 'region')}, none away or drained.` };
}

const names = (regions: Region[]): string => regions.map((one) => one.name).join(', ');

/** An entry of the log: "away, as eu-west saw it", "drained by Operator 2: new machines". */
export function happened(event: RegionEvent): string {
  const by = event.who ? ` by ${event.who}` : '';
  const seen = event.seen_from ? `, as ${event.seen_from} saw it` : '';
  return `${event.what}${by}${seen}${event.why ? `: ${event.why}` : ''}`;
}

const states: Record<CopyState, Said> = {
  verified: { tone: 'good', text: 'Verified' },
  pending: { tone: 'unknown', text: 'Missing yet' },
  copying: { tone: 'unknown', text: 'Being copied' },
  failed: { tone: 'bad', text: 'Failed' },
  deleting: { tone: 'warning', text: 'Being deleted' },
};
export const copyState = (state: CopyState): Said => states[state];

/** Copies of one store, by what is known of them. `behind` is when the first one that is missing was wanted. */
export type Stored = {
  store: string;
  verified: number;
  missing: number;
  failed: number;
  deleting: number;
  bytes: number;
  behind: string | null;
};

export function storesOf(assets: Assets): Stored[] {
  const found = new Map<string, Stored>();
  for (const name of ['local', ...assets.stores.map((one) => one.name)]) found.set(name, empty(name));
  for (const row of assets.copies) {
    const one = found.get(row.store) ?? empty(row.store);
    found.set(row.store, added(one, row));
  }
  return [...found.values()];
}

const empty = (store: string): Stored => ({ store, verified: 0, missing: 0, failed: 0, deleting: 0, bytes: 0, behind: null });

function added(one: Stored, row: Count): Stored {
  const missing = row.state === 'pending' || row.state === 'copying';
  return {
    ...one,
    verified: one.verified + (row.state === 'verified' ? row.sets : 0),
    missing: one.missing + (missing ? row.sets : 0),
    failed: one.failed + (row.state === 'failed' ? row.sets : 0),
    deleting: one.deleting + (row.state === 'deleting' ? row.sets : 0),
    bytes: one.bytes + (row.state === 'verified' ? row.bytes : 0),
    behind: missing || row.state === 'failed' ? earlier(one.behind, row.oldest) : one.behind,
  };
}

const earlier = (one: string | null, other: string): string => (one === null || Date.parse(other) < Date.parse(one) ? other : one);

/** How copies are, in a sentence. */
export function copiesSaid(assets: Assets): Said {
  const stores = storesOf(assets);
  const failed = stores.reduce((sum, one) => sum + one.failed, 0);
  const missing = stores.reduce((sum, one) => sum + one.missing, 0);
  const verified = stores.reduce((sum, one) => sum + one.verified, 0);
  if (failed > 0) return { tone: 'bad', text: `${several(failed, 'copy', 'copies')} failed and ${failed === 1 ? 'is' : 'are'} tried again; ${count(missing)} missing yet.` };
  if (missing > 0) return { tone: 'warning', text: `${several(missing, 'copy', 'copies')} missing yet, ${count(verified)} verified.` };
  if (verified === 0) return { tone: 'unknown', text: 'No lecture is ready yet: there is nothing to copy.' };
  return { tone: 'good', text: `${several(verified, 'copy', 'copies')}, all verified.` };
}

/** What the stores have said to a deletion: "2 of 3 stores, 14 objects". */
export function answered(receipt: Receipt): string {
  const done = receipt.stores.filter((one) => one.gone_at !== null);
  const objects = done.reduce((sum, one) => sum + one.objects, 0);
  return `${done.length} of ${several(receipt.stores.length, 'store')}, ${several(objects, 'object')}`;
}
