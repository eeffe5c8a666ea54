import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Refused } from '../src/session/refusal';
import { parts, peak } from '../src/watching/curve';
import { type Answer, Sender, type Sent } from '../src/watching/sender';
import { type Shown, Watcher } from '../src/watching/watcher';

vi.stubGlobal('BroadcastChannel', class {});

type Said = [string, Record<string, unknown>];

function watched(frames: Partial<Shown>[], last = true): Said[] {
  const said: Said[] = [];
  const watcher = new Watcher((type, { video: _, ...data }) => said.push([type, data]));
  let shown: Shown = { video: 'v1', time: 0, duration: 100, paused: true, captions: null };
  for (const frame of frames) watcher.see((shown = { ...shown, ...frame }));
  if (last) watcher.close();
  return said;
}

const playing = (from: number, to: number): Partial<Shown>[] =>
  Array.from({ length: (to - from) * 4 }, (_, index) => ({ time: from + (index + 1) / 4, paused: false }));

describe('a watcher', () => {
  test('says which seconds were played, ten at a time', () => {
    expect(watched([{ time: 5, paused: false }, ...playing(5, 28), { paused: true }])).toEqual([
      ['played', { position: 5 }],
      ['watched', { from: 5, to: 15 }],
      ['watched', { from: 15, to: 25 }],
      ['watched', { from: 25, to: 28 }],
      ['paused', { position: 28 }],
    ]);
  });

  test('says nothing of what is jumped over', () => {
    expect(watched([{ paused: false }, ...playing(0, 4), { time: 60 }, ...playing(60, 63), { time: 2 }, ...playing(2, 4)])).toEqual([
      ['played', { position: 0 }],
      ['watched', { from: 0, to: 4 }],
      ['watched', { from: 60, to: 63 }],
      ['watched', { from: 2, to: 4 }],
    ]);
  });

  test('says the end once, with the last second whole', () => {
    const end = [{ time: 96, duration: 99.6, paused: false }, ...playing(96, 99), { time: 99.6 }, { time: 99.6, paused: true }];
    expect(watched(end)).toEqual([
      ['played', { position: 96 }],
      ['watched', { from: 96, to: 100 }],
      ['finished', {}],
    ]);
  });

  test('says captions when they are on the picture of what plays', () => {
    const frames = [{ captions: 'en' }, { paused: false }, { captions: null }, { captions: 'de' }];
    expect(watched(frames).filter(([type]) => type === 'captions')).toEqual([
      ['captions', { lang: 'en' }],
      ['captions', { lang: 'de' }],
    ]);
  });

  test('ends one lecture before the next', () => {
    const said: string[] = [];
    const watcher = new Watcher((type, data) => said.push(`${type} ${String(data.video)}`));
    const shown: Shown = { video: 'a', time: 0, duration: 100, paused: false, captions: null };
    watcher.see(shown);
    watcher.see({ ...shown, time: 3 });
    watcher.see({ ...shown, video: 'b', time: 50, paused: true });
    expect(said).toEqual(['played a', 'watched a', 'paused a']);
  });

  test('has nothing to say where nothing plays', () => {
    expect(watched([{ time: 3 }, { time: 50 }, { captions: 'en' }])).toEqual([]);
  });
});

describe('a sender', () => {
  beforeEach(() => void vi.useFakeTimers({ now: new Date('2026-03-01T10:00:00Z') }));
  afterEach(() => void vi.useRealTimers());

  function sending(answers: (Partial<Answer> | Error)[] = []): { sender: Sender; posts: Sent[][]; leaving: boolean[] } {
    const posts: Sent[][] = [];
    const leaving: boolean[] = [];
    const sender = new Sender(async (events, left) => {
      posts.push([...events]);
      leaving.push(left);
      const answer = answers.shift() ?? {};
      await Promise.resolve();
      if (answer instanceof Error) throw answer;
      return { rejected: [], now: new Date().toISOString(), ...answer };
    });
    return { sender, posts, leaving };
  }

  test('waits a second for more, and sends nothing where there is nothing', async () => {
    const { sender, posts } = sending();
    await vi.advanceTimersByTimeAsync(5000);
    sender.add('opened');
    await vi.advanceTimersByTimeAsync(900);
    sender.add('played', { video: 'v', position: 0 });
    expect(posts).toEqual([]);
    await vi.advanceTimersByTimeAsync(200);
    expect(posts.map((events) => events.map((one) => one.type))).toEqual([['opened', 'played']]);
    expect(sender.waiting).toBe(0);
  });

  test('sends a hundred at once', async () => {
    const { sender, posts } = sending();
    for (let count = 0; count < 130; count += 1) sender.add('opened');
    await vi.advanceTimersByTimeAsync(0);
    expect(posts.map((events) => events.length)).toEqual([100]);
    await vi.advanceTimersByTimeAsync(1500);
    expect(posts.map((events) => events.length)).toEqual([100, 30]);
  });

  test('sends the same ids again after a lost answer', async () => {
    const { sender, posts } = sending([new TypeError('network'), new Refused(503, 'UNAVAILABLE', '')]);
    sender.add('opened');
    await vi.advanceTimersByTimeAsync(1000);
    await vi.advanceTimersByTimeAsync(5000);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(new Set(posts.flat().map((one) => one.id)).size).toBe(1);
    expect(posts.length).toBe(3);
    expect(sender.waiting).toBe(0);
  });

  test('gives up what the server will never take', async () => {
    const { sender, posts } = sending([new Refused(400, 'VALIDATION_ERROR', '')]);
    sender.add('opened');
    await vi.advanceTimersByTimeAsync(600_000);
    expect([posts.length, sender.waiting]).toEqual([1, 0]);
  });

  test('sends at once when the page is left', () => {
    const { sender, posts, leaving } = sending();
    sender.add('paused', { video: 'v', position: 3 });
    void sender.flush(true);
    expect([posts.length, leaving]).toEqual([1, [true]]);
  });

  test('goes by the time of the server where its own is wrong', async () => {
    const answer = { now: '2026-03-04T10:00:00.000Z', rejected: [] as Answer['rejected'] };
    const { sender, posts } = sending([answer]);
    sender.add('opened');
    answer.rejected.push({ id: '', reason: 'at is too old' });
    const first = (): Sent => posts[0]?.[0] as Sent;
    const known = sender.flush();
    answer.rejected[0] = { id: first().id, reason: 'at is too old' };
    await known;
    await vi.advanceTimersByTimeAsync(1000);
    expect(posts[1]).toEqual([{ ...first(), at: '2026-03-04T10:00:00.000Z' }]);
  });
});

describe('a curve', () => {
  const curve = { step: 2, viewers: [3, 5, 5, 1, 0], plays: [4, 6, 5, 1, 0] };

  test('has its peak where most watched first', () => {
    expect(peak(curve)).toEqual({ time: 2, viewers: 5 });
    expect(peak({ step: 1, viewers: [], plays: [] })).toEqual({ time: 0, viewers: 0 });
  });

  test('is a table of parts with the same numbers', () => {
    expect(parts(curve, 3)).toEqual([
      { start: 0, end: 4, viewers: 4, plays: 5 },
      { start: 4, end: 8, viewers: 3, plays: 3 },
      { start: 8, end: 10, viewers: 0, plays: 0 },
    ]);
    expect(parts(curve, 20).length).toBe(5);
  });
});
