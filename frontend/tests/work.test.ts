import { describe, expect, it } from 'vitest';
import { deed, edited, said } from '../src/ops/work/edits';
import { barText, followed, lacking, lateness, ordered, share, standing, summary } from '../src/ops/work/lanes';
import { added, lines, told, worthwhile } from '../src/ops/work/plan';
import { charts, conclusion, failures, heard, phase } from '../src/ops/work/reports';
import type { Lane, Moment, Outcome, Plan, Report } from '../src/ops/work/shapes';

const lane = (given: Partial<Lane> = {}): Lane => ({
  queue: 'video',
  depth: 3,
  oldest_wait_seconds: 30,
  per_minute: 90,
  paused_since: null,
  paused_until: null,
  paused_by: null,
  paused_why: null,
  states: { queued: 3, running: 2, dead: 1 },
  weight: 2,
  goal_seconds: 60,
  ...given,
});

describe('lanes', () => {
  it('are as deep as was told last', () => {
    const read = { queues: [lane(), lane({ queue: 'rosters' })], complete: true, missing: {} };
    const [video, rosters] = followed(read, { video: { running: 1 } }).queues;
    expect(video).toMatchObject({ states: { queued: 0, delayed: 0, running: 1, dead: 1 }, oldest_wait_seconds: 0 });
    expect(rosters).toEqual(read.queues[1]);
  });

  it('say whether they are on time, late, paused or without a goal', () => {
    expect(standing(lane())).toMatchObject({ tone: 'good', text: 'On time' });
    expect(standing(lane({ oldest_wait_seconds: 71 }))).toMatchObject({ tone: 'warning', text: 'Late by 11 s' });
    expect(standing(lane({ goal_seconds: null }))).toMatchObject({ tone: 'unknown', text: 'No goal' });
    const paused = standing(lane({ paused_since: new Date().toISOString(), paused_by: 'ada', oldest_wait_seconds: 900 }));
    expect(paused).toMatchObject({ tone: 'unknown', shape: 'paused' });
    expect(paused.text).toMatch(/^Paused by ada, /);
    const until = standing(lane({ paused_since: '2027-01-15T08:00:00Z', paused_by: 'ada', paused_until: '2027-01-15T09:30:00Z' }));
    expect(until.text).toBe('Paused by ada until 15 Jan, 09:30');
  });

  it('fill their bar up to the goal and not beyond', () => {
    expect(share(lane())).toBe(0.5);
    expect(share(lane({ oldest_wait_seconds: 600 }))).toBe(1);
    expect(share(lane({ goal_seconds: null }))).toBeNull();
    expect(lateness(lane())).toBe(0);
    expect(barText(lane())).toBe('The oldest job has waited 30 s of 60 s');
  });

  it('are summed up in one line and ordered by their share', () => {
    const queues = [lane({ queue: 'gone', weight: null }), lane({ queue: 'b', weight: 1 }), lane()];
    expect(summary({ queues, complete: true, missing: {} })).toBe('9 waiting · 6 running · 4.5 jobs/s done · 3 dead letters');
    expect(ordered(queues).map((one) => one.queue)).toEqual(['video', 'b', 'gone']);
    expect(lacking({})).toBe('');
    expect(lacking({ 's-1': 'it is away' })).toContain('s-1');
  });
});

const plan: Plan = {
  groups: [
    { outcome: 'dies', kind: 'video.transcode', why: 'its time limit is still 30 s', setting: 'queues.video.time_limit_seconds', letters: 2 },
    { outcome: 'runs', kind: 'mail', why: 'it has its attempts again', setting: '', letters: 1 },
    { outcome: 'held', kind: 'mail', why: 'a live job does the same work', setting: '', letters: 1 },
  ],
  letters: [
    { id: 'a', kind: 'video.transcode', outcome: 'dies', why: '' },
    { id: 'b', kind: 'mail', outcome: 'runs', why: '' },
  ],
  refused: {},
  missing: {},
  complete: true,
};

describe('a dry run', () => {
  it('says what would run, what would not, and which setting decides', () => {
    const said = lines(plan);
    expect(said.map((line) => line.head)).toEqual(['1 would run now', '2 would likely die again', '1 held: a live job does the same work']);
    expect(said[1]?.details[0]?.setting).toBe('queues.video.time_limit_seconds');
    expect(worthwhile(plan)).toEqual(['b']);
  });
});

describe('a run', () => {
  const first: Outcome = { run: 'r', counts: { replayed: 2 }, refused: {}, missing: {}, complete: false };

  it('is told over the calls that it took', () => {
    const all = added(first, { ...first, counts: { replayed: 1, gone: 2, held: 1 }, complete: true });
    expect(all.counts).toEqual({ replayed: 3, held: 1 });
    expect(told(all)).toBe('3 replayed, 1 left, since a live job does the same work');
    expect(added(null, first)).toBe(first);
  });

  it('names why some could not be done', () => {
    expect(told({ ...first, counts: {}, refused: { j: 'there is no dead letter j' } })).toBe('1 could not be: there is no dead letter j');
    expect(told({ ...first, counts: {} })).toBe('nothing was left to do');
  });
});

describe('what a job carries', () => {
  const payload = { parts: 3, to: { user: 'ada', tags: ['a'] }, big: 9007199254740993 };
  const text = (change: object): string => JSON.stringify({ ...payload, ...change });

  it('is changed field by field, also inside objects', () => {
    expect(edited(payload, JSON.stringify(payload, null, 2))).toEqual({ changes: [] });
    expect(edited(payload, text({ parts: '4', to: { user: 'bob', tags: ['a', 'b'] } }))).toEqual({
      changes: [
        { field: 'parts', before: 3, value: '4' },
        { field: 'to.user', before: 'ada', value: 'bob' },
        { field: 'to.tags', before: ['a'], value: ['a', 'b'] },
      ],
    });
    // Whether there may be such a field, the server says.
    expect(edited(payload, text({ toString: 1 }))).toEqual({ changes: [{ field: 'toString', before: undefined, value: 1 }] });
  });

  it('is no other thing than an object with all its fields', () => {
    expect(edited(payload, '{"parts": ')).toMatchObject({ problem: expect.stringMatching(/^This is not JSON: /) });
    expect(edited(payload, '[]')).toMatchObject({ problem: expect.stringMatching(/is an object/) });
    expect(edited(payload, text({ to: { tags: [] } }))).toMatchObject({ problem: expect.stringMatching(/^to.user is missing: /) });
  });

  it('is told as it was and as it is', () => {
    const done = { id: 'a', at: '', actor: 'ada', run: '', action: 'dead-letter.replayed', before: { reason: 'x', parts: 3 } };
    expect(deed({ ...done, after: { parts: 4 } })).toBe('replayed with parts from 3 to 4');
    expect(deed({ ...done, after: {} })).toBe('replayed');
    expect(deed({ ...done, action: 'dead-letter.dropped', after: {} })).toBe('discarded');
    expect(said({ field: 'a', before: undefined, value: 1 })).toBe('a as 1');
  });
});

const moment = (second: number, given: Partial<Moment> = {}): Moment => ({
  second,
  rate: 10,
  throughput: 9,
  failed: 1,
  in_flight: 2,
  sockets: 0,
  p50: 0.01,
  p95: 0.05,
  p99: 0.1,
  tester_cores: 0.2,
  target_cores: null,
  ...given,
});

describe('a load test', () => {
  it('keeps each second once and in order', () => {
    const known = heard(heard([], [moment(2), moment(1)]), [moment(2, { rate: 99 })]);
    expect(known.map((one) => one.second)).toEqual([1, 2]);
    expect(heard(known, [])).toBe(known);
    expect(heard(known, [moment(3)], 2).map((one) => one.second)).toEqual([2, 3]);
  });

  it('says what it does now, and how much failed', () => {
    expect(phase({ phase: 'preparing', prepared: { what: 'people', done: 3, of: 20 } })).toBe('3 of 20 people ready');
    const stage = { kind: 'ramp', first: 0, last: 20, seconds: 12 } as const;
    expect(phase({ phase: 'sending', seconds: 60, stage, last: moment(5) })).toBe('ramp to 20 arrivals/s, 5 s of 60 s');
    expect(phase({ phase: 'sending', seconds: 60, stage: null, last: moment(61) })).toMatch(/^the last answers come/);
    expect(failures([])).toBe('–');
    expect(failures([moment(1, { throughput: 9, failed: 1 }), moment(2, { throughput: 10, failed: 0 })])).toBe('1 of 20, 5%');
  });

  it('shows the objective of its latency', () => {
    const objectives = ['p99', 'message:p95', 'p95', 'errors'].map((objective, n) => ({ objective, bound: n + 1, text: '' }));
    expect(charts([moment(1)], 0, objectives).latency.threshold).toEqual({ value: 3, label: 'p95 3 s' });
    expect(charts([moment(1)], 0, objectives.slice(3)).latency.threshold).toBeUndefined();
  });

  it('is drawn with gaps where nothing was measured', () => {
    const drawn = charts([moment(0), moment(1, { p95: null, target_cores: 1.5 })], 60_000);
    expect(drawn.latency.lines[1]?.values).toEqual([0.05, null]);
    expect(drawn.rate.times).toEqual([60, 61]);
    expect(drawn.failed.sentence).toBe('2 arrivals failed.');
    expect(drawn.use.sentence).toBe('The target used at most 1.5 cores.');
  });

  it('has a conclusion', () => {
    const all = { count: 100, failed: 1, error_rate: 0.01, throughput: 9.9, p50: 0.01, p95: 0.4, p99: 0.6 };
    const report = { steady: { all }, verdict: { result: 'met', reasons: [], objectives: [] } } as unknown as Report;
    expect(conclusion(report)).toBe('Every objective was kept: 9.9 arrivals a second with a p95 of 0.4 s and 1% errors.');
    const objectives = [{ objective: 'p95', bound: 0.3, text: 'p95 0.4 s, at most 0.3 s', met: false, measured: 0.4 }];
    expect(conclusion({ ...report, verdict: { result: 'missed', reasons: [], objectives } })).toContain('(p95 0.4 s, at most 0.3 s)');
    expect(conclusion({ ...report, verdict: { result: 'invalid', reasons: ['a tester was lost'], objectives: [] } })).toBe(
      'It proves nothing, because a tester was lost.',
    );
  });
});
