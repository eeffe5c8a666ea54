import { describe, expect, it } from 'vitest';
import type { Assets, Cached, Layers, Layout, Limit, Move, Rebalanced, Recorded, Region, Replica, ZonePlan } from '../src/ops/data/answers';
import { cacheSaid, dropped, hits, logged } from '../src/ops/data/cache';
import { fullest, limitsSaid, near, used } from '../src/ops/data/limits';
import { answered, copiesSaid, happened, regionsSaid, regionState, storesOf } from '../src/ops/data/regions';
import { charted, chartOf, lag, standing } from '../src/ops/data/replicas';
import { balance, found, longest, progress, result, scope, step } from '../src/ops/data/shards';

const shard = (name: string): Layout['shards'][number] => ({
  name, engine: 'sqlite', region: '', zone: 'default', state: 'active', weight: 1, target: 0.5, buckets: 2048, pinned: 0,
  courses: 3, rows: 9, bytes: 900, writes: 4, share: 0.5, moves: 0,
});
const zone = (changed: Partial<ZonePlan> = {}): ZonePlan => ({
  zone: 'default', by: 'bytes', tolerance: 0.05, count: 0, load: 0, verdict: 'nothing to move', ways: [], shards: [], over: [], ...changed,
});
const layout = (changed: Partial<Layout>): Layout => ({
  measured_at: '2026-11-27T12:00:00Z', tolerance: 0.05, shards: [shard('shard-0'), shard('shard-1')], zones: [zone()], unfinished: 0, courses: [], agreed: {}, ...changed,
});
const move = (changed: Partial<Move>): Move => ({
  id: 'm1', zone: 'default', bucket: 7, tenant: '', course: '', source: 'shard-0', target: 'shard-1', state: 'done', step: null, steps: 5, held: false, paused_by: null,
  owner: '', rows: 12, pause_ms: 40, error: '', created_at: '2026-11-27T12:00:00Z', updated_at: '2026-11-27T12:00:01Z', ...changed,
});

describe('the balance of shards', () => {
  it('names the shard that is furthest from its share', () => {
    const shards = [
      { name: 'shard-0', buckets: 2048, share: 0.4, share_after: 0.33, share_target: 0.333 },
      { name: 'shard-2', buckets: 0, share: 0, share_after: 0.33, share_target: 0.333 },
    ];
    expect(balance(layout({ zones: [zone({ count: 1365, shards })] }))).toEqual({
      tone: 'warning',
      text: 'shard-2 carries 0% of the bytes, its share is 33%: 1,365 moves would level it.',
    });
  });
  it('says when nothing would move, and when one shard has everything', () => {
    expect(balance(layout({})).text).toBe('Every shard is within 5% of its share of the bytes. Nothing would move.');
    expect(balance(layout({ shards: [shard('shard-0')] })).tone).toBe('unknown');
    expect(balance(layout({ zones: [zone({ over: ['shard-1'] })] })).text).toContain('shard-1 stays over its share');
  });
  it('does not call shards level that are not, and says why nothing moves then', () => {
    const shards = [{ ...shard('shard-0'), bytes: 6700, courses: 2 }, { ...shard('shard-1'), bytes: 3300, courses: 1 }];
    const said = balance(layout({ shards }));
    expect(said.text).toMatch(/^Nothing would move. shard-[01] carries (67|33)% of the bytes and its share is 50%, but that is the chance of 3 courses: /);
    expect(balance(layout({ shards, zones: [zone({ by: 'buckets' })] })).text).toBe('Every shard is within 5% of its share of the buckets. Nothing would move.');
    expect(balance(layout({ shards: shards.map((one) => ({ ...one, bytes: 0 })) })).text).toContain('within 5% of its share of the bytes');
  });
  it('says what an order would carry out', () => {
    const plan: Rebalanced = { dry_run: true, begun: false, unfinished: 2, planned: 10, abandoned: 0, failed: [], needed: 1, approvals: [], zones: [zone({ count: 10, load: 0.012 })] };
    expect(found(plan)).toBe('2 moves of before would be ended first. 10 moves, 1.2% of the load of default.');
    expect(found({ ...plan, unfinished: 0, planned: 0 })).toBe('Nothing would move.');
  });
});

describe('moves', () => {
  it('says how far one is, and what came of it', () => {
    expect(step(move({ state: 'copying', step: 2 }))).toBe('2 of 5: rows are copied while they are used');
    expect(result(move({}))).toEqual({ tone: 'good', text: 'Moved' });
    expect(result(move({ state: 'aborted' })).text).toBe('Taken back');
    expect(scope(move({}))).toBe('Bucket 7');
    expect(scope(move({ tenant: 't1', course: 'c1' }))).toBe('Course t1/c1');
    expect(longest([move({ pause_ms: 40 }), move({ pause_ms: 95 })])).toBe('95 ms');
    expect(longest([])).toBe('–');
  });
  it('tells waiting ones from those under way', () => {
    const none = { under_way: [], waiting: [], waiting_count: 0, ended: [], next: null };
    expect(progress(none)).toBe('');
    expect(progress({ ...none, waiting_count: 3 })).toBe('3 moves waiting, and nobody carries them out');
    expect(progress({ ...none, under_way: [move({ state: 'copying' })], waiting_count: 3 })).toBe('1 move under way, 3 waiting');
  });
});

describe('replicas', () => {
  const replica = (changed: Partial<Replica>): Replica => ({
    shard: 'shard-0', replica: 'shard-0-replica-1', region: 'eu', healthy: true, fault: '', since: null, lag_bytes: 4096, lag_seconds: 0.25,
    latency_seconds: 0.001, breaker: 'closed', served: 12, ...changed,
  });
  const points = [0.1, null, 12, 14, 0.2].map((value, index) => ({ timestamp: `2026-11-27T12:0${index}:00Z`, value, most: value }));
  const record: Recorded = { part: 'shard-0-replica-1', resolution: 60, points };

  it('says where reads do not go, and why', () => {
    const one = { engine: 'postgresql' as const, most_lag_seconds: 10, history: [] };
    expect(standing({ ...one, replicas: [replica({})] }).text).toBe('1 replica, all answer reads.');
    const away = replica({ replica: 'b', healthy: false, fault: '12 s behind' });
    expect(standing({ ...one, replicas: [replica({}), away] })).toEqual({ tone: 'warning', text: 'No reads go to b (12 s behind). Reads go to the other 1.' });
    expect(standing({ ...one, replicas: [away] }).tone).toBe('bad');
  });
  it('does not take what is not known for nothing', () => {
    expect(lag(replica({}))).toBe('0.25 s, 4.1 kB');
    expect(lag(replica({ lag_seconds: null, lag_bytes: null }))).toBe('not known');
  });
  it('draws the threshold, what was over it, and the gap', () => {
    const chart = chartOf(record, 10);
    expect(chart.threshold?.value).toBe(10);
    expect(chart.over).toHaveLength(1);
    expect(chart.unknown).toHaveLength(1);
    expect(chart.sentence).toContain('at most 14 s');
    expect(chart.sentence).toContain('Measured in 80% of the time.');
    expect(charted(record, 10)).toBe('2 min over 10 s');
    expect(charted(record, 20)).toBe('never over 20 s in the last hour');
  });
});

describe('regions and copies', () => {
  const region = (changed: Partial<Region>): Region => ({
    name: 'eu', here: false, well: true, why: '', ms: 4, since: null, drained: false, drained_by: '', drained_why: '', address: '', zones: [],
    roles: [], primary: [], replicas: [], store: '', ...changed,
  });
  const assets: Assets = {
    stores: [{ name: 'archive', region: 'eu', zone: 'default', kind: 'directory', state: 'closed', written: 0, read: 0 }],
    copies: [
      { store: 'local', state: 'verified', sets: 4, objects: 9, bytes: 900, oldest: '2026-11-27T12:00:05.000Z' },
      { store: 'archive', state: 'verified', sets: 1, objects: 2, bytes: 200, oldest: '2026-11-27T12:00:05.000Z' },
      { store: 'archive', state: 'pending', sets: 2, objects: 0, bytes: 0, oldest: '2026-11-27T12:01:10.000Z' },
      { store: 'archive', state: 'failed', sets: 1, objects: 3, bytes: 300, oldest: '2026-11-27T12:01:00.000Z' },
    ],
    deletions_waiting: 0,
  };

  it('tells away from drained and not asked', () => {
    expect(regionState(region({ well: null })).text).toBe('Not asked');
    expect(regionState(region({ why: 'cannot be reached' })).text).toBe('Last probe failed');
    expect(regionState(region({ drained: true, well: false })).text).toBe('Drained');
    expect(regionsSaid([region({}), region({ name: 'us', well: false })])).toEqual({ tone: 'bad', text: 'us is away: visits go to the next region that may answer.' });
    expect(regionsSaid([region({ drained: true })]).text).toBe('eu gets no new visits.');
    expect(happened({ number: 1, at: '', region: 'us', what: 'drained', seen_from: '', who: 'Ada', why: 'new machines' })).toBe('drained by Ada: new machines');
  });
  it('adds copies up by store', () => {
    expect(storesOf(assets).find((one) => one.store === 'archive')).toEqual({ store: 'archive', verified: 1, missing: 2, failed: 1, deleting: 0, bytes: 200, behind: '2026-11-27T12:01:00.000Z' });
    expect(copiesSaid(assets).text).toBe('1 copy failed and is tried again; 2 missing yet.');
    expect(copiesSaid({ ...assets, copies: [] }).tone).toBe('unknown');
    expect(copiesSaid({ ...assets, copies: assets.copies.slice(0, 2) })).toEqual({ tone: 'good', text: '5 copies, all verified.' });
  });
  it('counts the stores that have answered to a deletion', () => {
    const stores = [
      { store: 'a', objects: 14, tries: 1, error: null, gone_at: '2026-11-27T12:00:00Z' },
      { store: 'b', objects: 0, tries: 3, error: 'away', gone_at: null },
    ];
    expect(answered({ id: 'd', digest: 'x', asked_at: '', finished_at: null, stores })).toBe('1 of 2 stores, 14 objects');
  });
});

describe('the cache', () => {
  const layers = (changed: Partial<Layers>): Layers => ({
    process: 'web-1', at: '', memory_bytes: 100, memory_hits: 80, nats_hits: 10, loads: 10, stale: 0, negative: 0, evicted: 0, skipped: 0, garbage: 0,
    hears: true, ...changed,
  });
  const cached = (processes: Layers[]): Cached => ({ processes, on_nats: null, spaces: [] });

  it('says how much was remembered, and who does not hear of changes', () => {
    expect(hits([layers({}), layers({})])).toEqual({ memory: 160, nats: 20, loads: 20, all: 200 });
    expect(cacheSaid(cached([layers({})])).text).toContain('90% of what was asked for was remembered');
    expect(cacheSaid(cached([layers({}), layers({ process: 'web-2', hears: false })])).text).toContain('web-2 cannot hear of changes');
    expect(cacheSaid(cached([layers({ memory_hits: 0, nats_hits: 0, loads: 0 })])).tone).toBe('unknown');
    expect(cacheSaid(cached([])).tone).toBe('unknown');
  });
  it('says what was dropped and who knows of it', () => {
    const answer = { in_memory: 1, on_nats: 2, told: true, dry_run: false, note: '' };
    expect(dropped(answer)).toBe('Dropped 1 value in this process, 2 on NATS; every process was told.');
    expect(dropped({ ...answer, on_nats: null, dry_run: true })).toBe('Would drop 1 value in this process.');
    expect(dropped({ ...answer, note: 'NATS is away' })).toContain('NATS is away');
    expect(logged({ number: 1, at: '', who: 'Ada', what: 'cache dropped', details: { tenant: 't1', course: 'c1' } })).toBe('cache dropped: c1 of t1');
    expect(logged({ number: 1, at: '', who: 'Ada', what: 'cache dropped', details: { everything: true } })).toBe('cache dropped: everything');
  });
});

describe('limits and dependencies', () => {
  const limit = (changed: Partial<Limit>): Limit => ({
    name: 'room_sockets', component: 'rooms', unit: 'sockets', setting: 'rooms.room_sockets', most: 1000, value: 910, usage: 0.91, high: 1, part: '',
    process: 'web-1', refused: 0, near: true, about: 'level', refuses: 'a socket', ...changed,
  });
  const quiet = limit({ name: 'body', usage: null, value: null, near: false });
  const none = { declared: [], standing: [], open: [], processes: 1 };

  it('names what is nearly full and what is left alone', () => {
    expect(limitsSaid([limit({})], none)).toEqual({ tone: 'warning', text: '1 limit nearly reached: room_sockets.' });
    const open = [{ process: 'web-1', name: 'LMS token', breakers: 1 }];
    expect(limitsSaid([limit({ near: false })], { ...none, open })).toEqual({ tone: 'bad', text: 'LMS token is left alone after failures.' });
    expect(limitsSaid([limit({ near: false, usage: 0.2 }), limit({ name: 'message', about: 'size', near: false, usage: 1 })], none).text).toBe('No limit is nearly reached; the fullest is room_sockets, at 20%. No breaker is open.');
  });
  it('sorts the fullest first and keeps what is not known apart', () => {
    expect(fullest([quiet, limit({})]).map((one) => one.name)).toEqual(['room_sockets', 'body']);
    expect(used(limit({}))).toBe('910 of 1,000 sockets');
    expect(used(limit({ unit: 'bytes', value: 206_724_980, most: 269_553_174 }))).toBe('207 MB of 270 MB');
    expect(used(quiet)).toBe('not known of 1,000 sockets');
    expect([near(quiet), near({ ...quiet, refused: 2 })]).toEqual([false, true]);
  });
});
