import { describe, expect, it } from 'vitest';
import type { FigureShown, Today } from '../src/ops/answers';
import { chartOf, deepened } from '../src/ops/now/today';
import { effect, limitOf } from '../src/ops/now/words';

const figure = (given: Partial<FigureShown> = {}): FigureShown => ({
  name: 'Utilisation',
  component: 'web',
  metric: 'utilisation',
  unit: 'share',
  of: 'of ready',
  value: 0.5,
  limit: 0.9,
  points: [0.4, 0.95, 0.5],
  expected: null,
  ...given,
});
const today = (given: Partial<Today> = {}): Today => ({
  at: '2027-01-15T00:12:00Z',
  since: '2027-01-15T00:00:00Z',
  until: '2027-01-15T00:12:00Z',
  step: 300,
  components: [
    { name: 'workers', title: 'Workers', state: 'good', figures: [figure()], facts: [{ name: 'jobs wait', unit: 'number', value: 0 }] },
  ],
  ...given,
});

describe('how a rule did', () => {
  const rated = (judged: number, outcomes: Record<string, number>) => ({ rate: { rate: judged ? 1 : null, judged }, outcomes });

  it('counts the acts that would not have been needed', () => {
    expect(effect(rated(12, { met: 9, 'met anyway': 3 }))).toBe('100% of 12, 3 not needed');
    expect(effect(rated(12, { met: 12 }))).toBe('100% of 12');
    expect(effect(rated(0, { 'too early': 2 }))).toBe('none judged');
  });
});

describe('a figure of the last day', () => {
  it('has no time ahead where nothing is forecast', () => {
    const chart = chartOf('Web', figure(), today());
    expect(chart.lines.map((one) => one.kind)).toEqual(['measured']);
    expect(chart.now).toBeUndefined();
    expect(chart.to).toBe(Date.parse('2027-01-15T00:12:00Z') / 1000);
  });

  it('stands beside what was and is expected, with nothing measured after now', () => {
    const expected = { p50: [0.4, 0.5, 0.5, 0.6, 0.7], p95: [0.5, 0.6, 0.7, 0.8, 0.96] };
    const day = today({ until: '2027-01-15T00:20:00Z' });
    const chart = chartOf('Web', figure({ expected }), day);
    expect(chart.times).toHaveLength(5);
    expect(chart.lines[0]).toMatchObject({ kind: 'forecast', values: expected.p50, low: expected.p50, high: expected.p95 });
    expect(chart.lines[1]?.values).toEqual([0.4, 0.95, 0.5, null, null]);
    expect(chart.now).toBe(Date.parse(day.at) / 1000);
    expect(chart.over).toEqual([[chart.times[1], chart.times[2]]]);
    expect(chart.sentence).toContain('Expected in the next hours: up to 96%.');
    // Charts beside it share its hours.
    expect(chartOf('Web', figure(), day)).toMatchObject({ now: chart.now, to: chart.to });
  });
});

describe('the overview', () => {
  it('counts the jobs that wait as they were told of last', () => {
    const day = today();
    expect(deepened(day, {})).toBe(day);
    const told = deepened(day, { video: { queued: 3, running: 1 }, rosters: { queued: 2 }, assets: {} });
    expect(told.components[0]?.facts).toEqual([{ name: 'jobs wait', unit: 'number', value: 5 }]);
  });
});

it('gives the limit of a rule the unit of what it looks at', () => {
  expect(limitOf('resource_utilization > limit', 0.9)).toBe('90%');
  expect(limitOf('queues_oldest > limit', 900)).toBe('15 min');
  expect(limitOf('web_latency_p95 > limit and web_throughput > 0.2', 2)).toBe('2 s');
  expect(limitOf('scaling_events_per_hour > limit', 5)).toBe('5');
});
