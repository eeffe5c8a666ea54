import { describe, expect, test } from 'vitest';
import { neighbour } from '../src/frame/tabs';
import { Speed } from '../src/lectures/speed';
import { cause } from '../src/lectures/cause';
import { fingerprint, keep, keptUploads } from '../src/lectures/kept';
import { base64 } from '../src/lectures/tus';
import { titleOf } from '../src/lectures/uploads.svelte';
import { initials } from '../src/room/initials';
import { memory, Store } from '../src/session/storage';
import { identity, refusalOf } from '../src/session/refusal';

describe('tabs', () => {
  test('arrows go round, and turn round from right to left', () => {
    const tabs = ['a', 'b', 'c'];
    expect(['ArrowRight', 'ArrowLeft', 'Home', 'End', 'x'].map((key) => neighbour(tabs, 'a', key, false))).toEqual(['b', 'c', 'a', 'c', undefined]);
    expect(neighbour(tabs, 'a', 'ArrowLeft', true)).toBe('b');
  });
});

describe('uploads', () => {
  test('tell the speed of the last seconds, and nothing before they know', () => {
    const speed = new Speed();
    speed.add(0, 0);
    expect(speed.secondsLeft(100)).toBeNull();
    for (let second = 1; second <= 20; second += 1) speed.add(second * 1000, second < 10 ? second * 10 : 90 + (second - 9) * 100);
    expect(speed.rate).toBeCloseTo(100);
    expect(speed.secondsLeft(1000)).toBeCloseTo(10);
  });

  test('are kept for the same file in the same course only, the newest twenty', () => {
    const file = { name: 'a.mp4', size: 7, lastModified: 3 };
    const one = { address: '/api/video/upload/v1', id: 'v1', title: 'Waves', name: 'a.mp4', size: 7 };
    keep('c1', fingerprint(file), one);
    expect(keptUploads('c1').get(fingerprint({ ...file }))).toEqual(one);
    expect(keptUploads('c2').size).toBe(0);
    expect(fingerprint(file)).not.toBe(fingerprint({ ...file, lastModified: 4 }));
    for (let number = 0; number < 25; number += 1) keep('c1', fingerprint({ ...file, size: number }), { ...one, size: number });
    expect(keptUploads('c1').size).toBe(20);
    expect(keptUploads('c1').get(fingerprint({ ...file, size: 4 }))).toBeUndefined();
    keep('c1', fingerprint({ ...file, size: 24 }), null);
    expect(keptUploads('c1').size).toBe(19);
  });

  test('send any title, as base64 of UTF-8', () => {
    expect(base64('محاضرة γ')).toBe('2YXYrdin2LbYsdipIM6z');
  });

  test('take a title from the file where there is none', () => {
    expect(titleOf('lecture_07-coupled.part1.mp4')).toBe('lecture 07 coupled.part1');
  });

  test('a failure is a cause and a remedy', () => {
    expect(cause('The file stops: its index is missing. Export it again. Or not.')).toEqual([
      'The file stops: its index is missing.',
      'Export it again. Or not.',
    ]);
    expect(cause('Broken')).toEqual(['Broken', '']);
  });
});

test('initials', () => {
  expect(['Dr. Fern', 'Student 12', 'فاطمة الزهراء', 'x', ''].map(initials)).toEqual(['DF', '12', 'فا', 'X', '?']);
});

describe('refusals', () => {
  test('carry code, message and the time to wait', async () => {
    const body = { error: { code: 'RATE_LIMITED', message: 'too many messages', details: {}, timestamp: '' } };
    const refusal = await refusalOf(new Response(JSON.stringify(body), { status: 429, headers: { 'Retry-After': '3' } }));
    expect([refusal.status, refusal.code, refusal.message, refusal.retryAfter]).toEqual([429, 'RATE_LIMITED', 'too many messages', 3]);
  });

  test("of a proxy keep their status", async () => {
    const refusal = await refusalOf(new Response('<html>', { status: 503 }));
    expect([refusal.status, refusal.code, refusal.retryAfter]).toEqual([503, 'UNKNOWN', undefined]);
  });
});

test('identities are 128 random bits', () => {
  expect(identity()).toMatch(/^[0-9a-f]{32}$/);
  expect(identity()).not.toBe(identity());
});

test('a frame that is refused storage keeps things in the spare', () => {
  const store = new Store(() => {
    throw new DOMException('denied', 'SecurityError');
  }, memory());
  store.set('a', '1');
  expect(store.get('a')).toBe('1');
  store.remove('a');
  expect(store.get('a')).toBeNull();
});
