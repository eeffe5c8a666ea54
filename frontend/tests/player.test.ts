import { describe, expect, test } from 'vitest';
import { filled, label, parseChapters, printChapters, segmentAt, segments } from '../src/player/chapters';
import { actionOf } from '../src/player/keys';
import { captionSpan, inside } from '../src/player/placement';
import { tileAt } from '../src/player/tiles';
import { clockOf, pieces, secondsOf } from '../src/player/times';
import { cueAt, cuesOf, vttOf } from '../src/player/vtt';

describe('times', () => {
  test('are printed as players do', () => {
    expect([0, 59.9, 1122, 3723, NaN, -3].map(clockOf)).toEqual(['0:00', '0:59', '18:42', '1:02:03', '0:00', '0:00']);
  });

  test('are read back', () => {
    expect(['18:42', '1:02:03', '90:00', '1:75:00', '18:4', 'x'].map(secondsOf)).toEqual([1122, 3723, 5400, undefined, undefined, undefined]);
  });

  test('in a message become links, the rest stays text', () => {
    expect(pieces('See 17:58, and <b>0:05</b>.', 2830)).toEqual([
      { text: 'See ' },
      { text: '17:58', seconds: 1078 },
      { text: ', and <b>' },
      { text: '0:05', seconds: 5 },
      { text: '</b>.' },
    ]);
  });

  test('beyond the lecture, or in longer numbers, stay text', () => {
    expect(pieces('at 23:59 or 12:30:45:10 or 2026:10', 600)).toEqual([{ text: 'at 23:59 or 12:30:45:10 or 2026:10' }]);
  });
});

describe('chapters', () => {
  const list = segments(
    [
      { start: 16, title: 'Free swing' },
      { start: 0, title: 'Recap' },
      { start: 500, title: 'beyond' },
    ],
    120,
  );

  test('cover the lecture in order', () => {
    expect(list.map((one) => [label(one), one.start, one.end])).toEqual([
      ['1 Recap', 0, 16],
      ['2 Free swing', 16, 120],
    ]);
  });

  test('know where the time is, and how full they are', () => {
    expect(label(segmentAt(list, 15.9))).toBe('1 Recap');
    expect(label(segmentAt(list, 16))).toBe('2 Free swing');
    expect(filled(list[1] as never, 68)).toBe(0.5);
  });

  test('that begin late get an untitled stretch before them', () => {
    const late = segments([{ start: 30, title: 'One' }], 60);
    expect(late.map((one) => label(one))).toEqual(['', '1 One']);
  });

  test('are read from lines, wrong lines by number', () => {
    const { chapters, wrong } = parseChapters('6:36 Free swing\n\n0:00 Recap\nDamping\n0:00 again\n99:00 late', 3000);
    expect(printChapters(chapters)).toBe('0:00 Recap\n6:36 Free swing');
    expect(wrong.map((one) => one.line)).toEqual([4, 5, 6]);
  });
});

describe('captions', () => {
  const text = 'WEBVTT\r\n\r\nNOTE nothing\r\n\r\n1\r\n00:00:05.000 --> 00:00:09.500 line:0\r\nSo <i>the</i> envelope\r\nfalls &amp; falls\r\n\r\n01:00.000 --> 01:02.000\r\nEnd';

  test('are read without markup', () => {
    expect(cuesOf(text)).toEqual([
      { start: 5, end: 9.5, text: 'So the envelope falls & falls' },
      { start: 60, end: 62, text: 'End' },
    ]);
  });

  test('are found by time', () => {
    const cues = cuesOf(text);
    expect([0, 5, 30, 61].map((time) => cueAt(cues, time))).toEqual([-1, 0, 0, 1]);
  });

  test('from SubRip are WebVTT with points', () => {
    expect(cuesOf(vttOf('1\n00:00:01,500 --> 00:00:02,000\nHello, 10:00:00,5\n'))).toEqual([{ start: 1.5, end: 2, text: 'Hello, 10:00:00,5' }]);
  });

  test('of anything else are none', () => {
    expect(cuesOf('just --> text')).toEqual([]);
  });

  test('stand beside the preview, or above it in a narrow picture', () => {
    expect(captionSpan(732, null).side).toBe('full');
    expect(captionSpan(732, { left: 414, right: 578 })).toEqual({ side: 'start', space: 406 });
    expect(captionSpan(732, { left: 40, right: 204 }).side).toBe('end');
    expect(captionSpan(336, { left: 80, right: 244 }).side).toBe('above');
  });

  test('a preview stays inside the bar', () => {
    expect([0, 200, 400].map((x) => inside(x, 100, 400))).toEqual([0, 150, 300]);
  });
});

describe('keys', () => {
  const stroke = (key: string, ctrlKey = false): Parameters<typeof actionOf>[0] => ({ key, ctrlKey, metaKey: false, altKey: false });

  test('act in the player', () => {
    expect(['k', 'K', 'j', 'l', 'c', '?', 'ArrowLeft', ' ', 'x'].map((key) => actionOf(stroke(key), true, false))).toEqual([
      'toggle',
      'toggle',
      'back',
      'forward',
      'captions',
      'help',
      'left',
      'toggle',
      null,
    ]);
  });

  test('letters can be switched off, arrows stay', () => {
    expect(actionOf(stroke('k'), false, false)).toBeNull();
    expect(actionOf(stroke('ArrowRight'), false, false)).toBe('right');
  });

  test('leave shortcuts of the browser and a focused control alone', () => {
    expect(actionOf(stroke('c', true), true, false)).toBeNull();
    expect(actionOf(stroke(' '), true, true)).toBeNull();
  });
});

describe('pictures along the seek bar', () => {
  const preview = { interval: 6, count: 250, columns: 10, rows: 10, width: 160, height: 90, sheets: ['a', 'b', 'c'] };

  test.each([
    [0, 'a', 0, 0],
    [5.9, 'a', 0, 0],
    [6, 'a', 160, 0],
    [66, 'a', 160, 90],
    [599.9, 'a', 1440, 810],
    [600, 'b', 0, 0],
    [1499, 'c', 1440, 360],
    [99_999, 'c', 1440, 360],
    [-3, 'a', 0, 0],
  ])('at %d s is in sheet %s at %d, %d', (time, url, x, y) => {
    expect(tileAt(preview, time)).toMatchObject({ url, x, y, width: 160, height: 90 });
  });

  test('of a tall lecture are shown smaller, and their sheets with them', () => {
    expect(tileAt({ ...preview, width: 90, height: 160 }, 6)).toMatchObject({
      x: 50.625,
      width: 50.625,
      height: 90,
      sheet: { width: 506.25, height: 900 },
    });
  });

  test('are left out where there are none', () => {
    expect(tileAt(null, 1)).toBeUndefined();
    expect(tileAt({ ...preview, sheets: [] }, 1)).toBeUndefined();
    expect(tileAt({ ...preview, count: 0 }, 1)).toBeUndefined();
  });
});
