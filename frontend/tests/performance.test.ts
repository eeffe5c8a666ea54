import { describe, expect, test } from 'vitest';
import { csv, pasted } from '../src/performance/csv';
import { axisOf, every, floorOf, path, runs, spread, steps } from '../src/performance/scale';
import { binOf, exercises, fullest, points, riskFirst } from '../src/performance/series';
import type { Performance, StudentRow } from '../src/session/answers';

describe('lines', () => {
  test('end at a gap and begin anew behind it', () => {
    expect(runs([0.6, 0.7, null, 0.8, null])).toEqual([[0, 1], [3]]);
    expect(runs([null, null])).toEqual([]);
  });

  test('are SVG paths', () => {
    expect(path([{ x: 1, y: 2 }, { x: 3.14159, y: 4 }])).toBe('M1.0 2.0L3.1 4.0');
  });
});

describe('axes', () => {
  test('are cut at a fifth below the least value, and never above it', () => {
    expect([[0.64, 0.52, null], [0.05], [0.99], []].map(floorOf).map((value) => value.toFixed(1))).toEqual(['0.4', '0.0', '0.8', '0.8']);
  });

  test('have few round steps from zero', () => {
    expect([1, 4, 11, 42, 230].map(steps)).toEqual([[0, 1], [0, 1, 2, 3, 4], [0, 5, 10], [0, 20, 40], [0, 100, 200]]);
  });

  test('take their title from what the names share', () => {
    expect(axisOf(['Exercise 1', 'Exercise 3'])).toEqual({ title: 'Exercise', labels: ['1', '3'] });
    expect(axisOf(['Quiz', 'Exercise 3'])).toEqual({ title: null, labels: ['1', '2'] });
  });

  test('leave labels out where they do not fit', () => {
    expect([every(8, 340, 22), every(60, 340, 22)]).toEqual([1, 4]);
  });

  test('move labels apart as little as needed', () => {
    expect(spread([100, 104, 200], 14)).toEqual([95, 109, 200]);
    const three = spread([50, 50, 50], 10);
    expect(Math.abs((three[1] ?? 0) - (three[0] ?? 0))).toBeGreaterThanOrEqual(9.9);
  });
});

describe('figures', () => {
  const figures: Performance = {
    course: null,
    students: [],
    activities: [
      { activity: 'B', at: '2026-02-02', count: 9, median: 0.6, q1: 0.5, q3: 0.7 },
      { activity: 'A', at: '2026-01-01', count: 9, median: 0.5, q1: 0.4, q3: 0.6 },
    ],
    scores: [
      { activity: 'A', score: 8, max: 10, share: 0.8, at: '2026-01-01' },
      { activity: 'C', score: 1, max: 10, share: 0.1, at: '2026-03-03' },
    ],
  };

  test('what was not handed in is a gap, not zero', () => {
    expect(exercises(figures).map((one) => [one.activity, one.share, one.median])).toEqual([
      ['A', 0.8, 0.5],
      ['B', null, 0.6],
      ['C', 0.1, null],
    ]);
  });

  test('those at risk come first', () => {
    const row = (user: string, at_risk: boolean, rank: number): StudentRow => ({ user, at_risk, rank, mean: 0.5, percentile: 50, trend: 0 });
    expect(riskFirst([row('a', false, 1), row('b', true, 9), row('c', true, 3)]).map((one) => one.user)).toEqual(['c', 'b', 'a']);
  });

  test('one is found in the histogram, at its very end too', () => {
    const bins = [
      { from: 0, to: 0.5, count: 3 },
      { from: 0.5, to: 1, count: 4 },
    ];
    expect([0.49, 0.5, 1].map((share) => binOf(bins, share))).toEqual([0, 1, 1]);
    expect(fullest(bins)?.count).toBe(4);
    expect(fullest([])).toBeNull();
  });

  test('a trend is in points', () => {
    expect([0.13, -0.295, null].map(points)).toEqual([13, -29, 0]);
  });
});

describe('tables for spreadsheets', () => {
  test('quote what needs it and disarm formulas', () => {
    expect(csv([['name', 'mean'], ['Fern, "Dr."', 0.5], ['=HYPERLINK("x")', -0.5], [null, undefined]])).toBe(
      'name,mean\r\n"Fern, ""Dr.""",0.5\r\n"\'=HYPERLINK(""x"")",-0.5\r\n,\r\n',
    );
  });

  test('pasted cells become CSV, CSV stays', () => {
    expect(pasted('user\tscore\r\nu1\t1,5\r\n')).toBe('user,score\nu1,"1,5"\n');
    expect(pasted('user,score\nu1,1')).toBe('user,score\nu1,1\n');
  });
});
