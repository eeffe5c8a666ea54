import { describe, expect, test } from 'vitest';
import { wrong } from '../src/ops/ahead/asking';
import {
  best,
  chartOf,
  conclusion,
  costScale,
  families,
  logPlace,
  minutes,
  minuteScale,
  minutesOver,
  newcomer,
  perDay,
  picked,
  tableOf,
  top,
  worth,
} from '../src/ops/ahead/comparing';
import { chartOf as forecastChart, planned, soon, verdict as forecastVerdict } from '../src/ops/ahead/foresight';
import { asCsv, bar, bears, daily, extent, inOrder, interval, measuredAs, missing, swings, verdict } from '../src/ops/ahead/planning';
import type { Action, Component, Forecast, Plan, Policy, Report, Schedule, Simulation, Until } from '../src/ops/ahead/shapes';
import { againstLastWeek, byDay, change, parts, sumOf, today, verdict as costVerdict, waiting } from '../src/ops/ahead/spending';

const PRICES = { minute: 0.2, change: 0.001, flap: 0.0075 };

function policy(name: string, over: number, cost: number | null, more: Partial<Policy> = {}): Policy {
  return {
    name,
    violation_minutes: over,
    violation_minutes_per_day: over,
    cost_ratio: cost,
    events_per_day: 0,
    flaps_per_day: 0,
    peak: 10,
    over: over ? [[600, over * 60]] : [],
    timeline: [
      { timestamp: '2027-01-01T00:00:00Z', demand: 20, ready: 2, desired: 2, reason: '' },
      { timestamp: '2027-01-01T12:00:00Z', demand: null, ready: 9, desired: 9, reason: '' },
    ],
    ...more,
  };
}

function simulation(policies: Policy[], ticks = 5760): Simulation {
  const trace = {
    start: '2027-01-01T00:00:00Z',
    end: '2027-01-02T00:00:00Z',
    ticks,
    tick: 15,
    unit_capacity: 20,
    start_delay: 90,
    min: 2,
    max: 200,
    missing: [[62_400, 720]] as [number, number][],
  };
  return { id: 'a', state: 'done', progress: 1, step: '', started_at: '', seconds: 0.8, who: 'ada', demand: null, names: [], error: '', trace, policies };
}

const FIVE = [
  policy('default', 3, 2.29, { events_per_day: 77, flaps_per_day: 10 }),
  policy('hpa-50', 13, 2.44, { events_per_day: 274, flaps_per_day: 140 }),
  policy('hpa-60', 19, 2.04),
  policy('hpa-70', 31, 1.76),
  policy('guide-schedule', 414, 1.04),
];

describe('what is asked of a simulation', () => {
  test('is refused with the field and what is allowed', () => {
    expect(wrong({ start_delay: -5 })).toBe('The start delay: -5 is not possible; write from 0 to 86,400 s.');
    expect(wrong({ unit_capacity: 0 })).toBe('What a unit does: 0 is not possible; write more than 0.');
    expect(wrong({ min: 1.5 })).toBe('The fewest units: 1.5 is not possible; write a whole number from 0 to 1,000,000.');
    expect(wrong({ days: 0.1 })).toBe('The last days: 0.1 is not possible; write from 0.25 to 400 days.');
    expect(wrong({ min: 9, max: 3 })).toBe('The fewest units, 9, are more than the most, 3.');
  });

  test('is sent where fields are empty or within what is allowed', () => {
    expect(wrong({ unit_capacity: null, start_delay: undefined, min: null, max: 3 })).toBe('');
    expect(wrong({ days: 7, unit_capacity: 0.8, start_delay: 0, tick: 3600, min: 0, max: 1 })).toBe('');
  });
});

describe('which policy to pick', () => {
  test('is what costs least with the price of a minute over capacity', () => {
    expect(worth(FIVE[0]!, PRICES)).toBeCloseTo(2.29 + 0.6 + 0.077 + 0.075);
    expect(picked(FIVE, PRICES)?.name).toBe('default');
    expect(picked(FIVE, { ...PRICES, minute: 0.001 })?.name).toBe('guide-schedule');
    expect(picked([], PRICES)).toBeUndefined();
  });

  test('is said in a sentence, with the next best and what the cheapest leaves', () => {
    const said = conclusion(simulation(FIVE), PRICES);
    expect(said).toEqual({
      tone: 'good',
      head: '“default” does best.',
      text: '3 minutes over capacity, where hpa-50 has 13 and costs 7% more. “guide-schedule” is cheapest and leaves 414 minutes without enough capacity.',
    });
  });

  test('is several where nothing tells them apart, and the default is the one to take', () => {
    const same = [policy('hpa-50', 0, 2), policy('default', 0, 2), policy('hpa-60', 0, 2.004)];
    expect(best(same, PRICES)).toEqual(same);
    expect(picked(same, PRICES)?.name).toBe('default');
    expect(conclusion(simulation(same), PRICES)).toEqual({
      tone: 'good',
      head: '“hpa-50”, “default” and “hpa-60” do equally well.',
      text: '0 minutes over capacity at 2.00× the least cost. Nothing in this demand tells them apart: replay more of it, or with fewer or smaller units.',
    });
    const said = conclusion(simulation([...same, policy('guide-schedule', 9, 3)]), PRICES);
    expect(said?.head).toBe('“hpa-50”, “default” and “hpa-60” do equally well.');
    expect(said?.text).toBe('0 minutes over capacity, where guide-schedule has 9 and costs 50% more. They are the cheapest, too.');
    expect(best([policy('hpa-50', 0, 2), policy('default', 1, 1.8)], PRICES)).toHaveLength(1);
  });

  test('of one alone says so, and of two does not name the rival twice', () => {
    expect(conclusion(simulation([FIVE[0]!]), PRICES)?.text).toBe(
      '3 minutes over capacity at 2.29× the least cost. Choose another policy to compare with.',
    );
    expect(conclusion(simulation([FIVE[0]!, FIVE[4]!]), PRICES)?.text).toBe(
      '3 minutes over capacity, where guide-schedule has 414 and costs 55% less.',
    );
  });

  test('that is the cheapest says that, and one minute is one', () => {
    const said = conclusion(simulation([policy('a', 1, 1.2), policy('b', 2, 1.2)]), PRICES);
    expect(said?.text).toBe('1 minute over capacity, where b has 2 and costs as much. It is the cheapest, too.');
  });

  test('outside of the good corner is a warning', () => {
    expect(conclusion(simulation([policy('a', 40, 3)]), PRICES)?.tone).toBe('warning');
    expect(conclusion(simulation([]), PRICES)).toBeUndefined();
  });

  test('of a longer trace is told by day', () => {
    const found = simulation([policy('a', 28, 1.5, { violation_minutes_per_day: 2 })], 14 * 5760);
    expect(perDay(found.trace!)).toBe(true);
    expect(minutes(found.policies[0]!, found.trace!)).toBe(2);
    expect(conclusion(found, PRICES)?.text).toMatch(/^2 minutes a day over capacity/);
    expect(minutesOver(found.policies[0]!)).toBe('28 minutes over');
    expect(minutesOver(policy('b', 0, 1))).toBe('never over');
  });
});

describe('the equal charts', () => {
  test('share hours and top, and hatch exactly what was over and what is unknown', () => {
    const found = simulation(FIVE);
    expect(top(found)).toBe(180);
    const chart = chartOf(FIVE[0]!, found.trace!, top(found));
    const start = Date.parse('2027-01-01T00:00:00Z') / 1000;
    expect([chart.from, chart.to, chart.most]).toEqual([start, start + 86_400, 180]);
    expect(chart.over).toEqual([[start + 600, start + 780]]);
    expect(chart.unknown).toEqual([[start + 62_400, start + 63_120]]);
    expect(chart.lines.map((line) => line.values)).toEqual([
      [40, 180],
      [20, null],
    ]);
    expect(chart.sentence).toContain('3 minutes over');
  });

  test('of a default that has not learned yet are said to be such', () => {
    expect(newcomer(simulation(FIVE))).toBe(true);
    expect(newcomer(simulation(FIVE, 7 * 5760))).toBe(false);
    expect(newcomer(simulation(FIVE.slice(1)))).toBe(false);
  });

  test('have one table with the demand once and every policy beside it', () => {
    const table = tableOf(simulation(FIVE), 'requests/s');
    expect(table?.lines.map((line) => line.label)).toEqual(['demand', ...FIVE.map((one) => `${one.name}, ready`)]);
    expect(tableOf(simulation([policy('a', 1, 1, { timeline: null })]), '')).toBeUndefined();
  });
});

describe('the trade-off', () => {
  test('has a logarithmic axis on which zero has a place', () => {
    expect([0, 1, 10, 100].map(logPlace)).toEqual([0, 0.5, 1.5, 2.5]);
    const scale = minuteScale([3, 13, 414]);
    expect(scale.ticks).toEqual([0, 1, 3, 10, 30, 100, 300, 1000]);
    expect(scale.place(0)).toBe(0);
    expect(scale.place(1000)).toBe(1);
    expect(scale.place(414)).toBeGreaterThan(scale.place(300));
    expect(minuteScale([0]).ticks.at(-1)).toBe(30);
  });

  test('keeps every cost inside, also one of far too much', () => {
    for (const values of [[1.04, 2.44], [0.6, 1], [1, 80]]) {
      const scale = costScale(values);
      for (const value of values) {
        expect(scale.place(value)).toBeGreaterThanOrEqual(0);
        expect(scale.place(value)).toBeLessThanOrEqual(1);
      }
      expect(scale.ticks.length).toBeLessThanOrEqual(7);
      expect(scale.ticks.length).toBeGreaterThanOrEqual(2);
    }
  });

  test('joins policies of one family in order', () => {
    const found = families([FIVE[3]!, FIVE[1]!, FIVE[0]!, FIVE[2]!, policy('knative-70', 1, 1)]);
    expect(found.map((family) => family.map((one) => one.name))).toEqual([['hpa-50', 'hpa-60', 'hpa-70']]);
  });
});

function forecast(more: Partial<Forecast> = {}): Forecast {
  const trust = {
    trusted: true,
    why: '',
    confidence: 1,
    mase: 0.7,
    pinball_95: 4,
    coverage_95: 0.94,
    live_error: null,
    live_pinball_95: null,
    live_coverage_95: null,
  };
  return {
    component: 'web',
    metric: 'demand',
    unit: 'cores',
    at: '2027-01-01T02:30:00Z',
    made_at: '2027-01-01T02:00:00Z',
    why: '',
    hours: 400,
    needed_hours: 336,
    trust,
    past: [
      { timestamp: '2027-01-01T00:00:00Z', measured: 1, p50: 1, p95: 2 },
      { timestamp: '2027-01-01T01:00:00Z', measured: 3, p50: 1, p95: 2 },
    ],
    ahead: [{ timestamp: '2027-01-01T02:00:00Z', p50: 1, p95: 2 }],
    peaks: [{ begins: '2027-01-01T08:00:00Z', ends: '2027-01-01T10:00:00Z', demand: 4 }],
    scores: [],
    ...more,
  };
}

describe('a forecast', () => {
  test('that is relied on names its next peak and how often it held', () => {
    const said = forecastVerdict(forecast());
    expect(said.tone).toBe('good');
    expect(said.text).toBe(
      'The next peak is expected Fri 1 Jan, 08:00 to 10:00, at up to 4 cores. Of the hours that have passed 94% stayed under its upper line; 95% are meant to.',
    );
  });

  test('says of a peak that has begun that it is going on', () => {
    const begun = forecast({ peaks: [{ begins: '2027-01-01T02:00:00Z', ends: '2027-01-01T04:00:00Z', demand: 4 }] });
    expect(forecastVerdict(begun).text).toMatch(/^A peak is going on, expected from 02:00 to 04:00, at up to 4 cores\. /);
  });

  test('that is not relied on says why', () => {
    const wrong = forecast({ trust: { ...forecast().trust, trusted: false, why: 'more came than it had expected' } });
    expect(forecastVerdict(wrong)).toMatchObject({ tone: 'warning', head: 'The forecast of web is not relied on:' });
    expect(forecastVerdict(wrong).text).toMatch(/^more came than it had expected\. /);
  });

  test('that is not there yet says after how long it will be', () => {
    const young = forecast({ ahead: [], hours: 300, why: 'there are not yet two weeks of demand on record' });
    expect(soon(young)).toBe('in about 36 h');
    expect(forecastVerdict(young).text).toContain('300 hours of 336 are on record, so it comes in about 36 h');
    expect(forecastVerdict(forecast({ ahead: [], why: 'none has been made yet' })).text).toBe('None has been made yet.');
  });

  test('draws nothing measured to the right of now, and the band between its quantiles', () => {
    const chart = forecastChart(forecast());
    expect(chart.lines.find((line) => line.kind === 'measured')?.values).toEqual([1, 3, null]);
    expect(chart.lines.find((line) => line.kind === 'forecast')?.high).toEqual([2, 2, 2]);
    expect(chart.now).toBe(Date.parse('2027-01-01T02:30:00Z') / 1000);
    expect(chart.unknown).toEqual([]);
    expect(chart.sentence).toContain('of 2 hours that were forecast 50% stayed');
  });
});

test('the week ahead has entries and peaks in order of time', () => {
  const entry = { id: 'a', fleet: '', kind: 'holiday', ends_at: '2027-01-03T00:00:00Z', units: null, note: '', calendar: 'terms.ics' };
  const week: Schedule = {
    at: '',
    until: '',
    time_zone: 'UTC',
    quiet_hours: '',
    quiet: [],
    change: [],
    entries: [
      { ...entry, begins_at: '2027-01-02T00:00:00Z' },
      { ...entry, id: 'b', kind: 'units', units: 4, note: 'fair', fleet: 'web', calendar: '', begins_at: '2027-01-01T00:00:00Z' },
    ],
    peaks: { web: [{ begins: '2027-01-01T08:00:00Z', ends: '2027-01-01T10:00:00Z', demand: 4 }] },
  };
  expect(planned(week).map((one) => [one.what, one.who, one.from])).toEqual([
    ['At least 4 units: fair', 'web', 'schedule'],
    ['Peak of up to 4 cores', 'web', 'forecast'],
    ['Holiday', 'every fleet', 'terms.ics'],
  ]);
});

const figure = (middle: number) => ({ low: middle * 0.8, middle, high: middle * 1.2 });
const until = (low: string | null, middle: string | null, high: string | null): Until => ({ low, middle, high, chance: low ? 1 : 0 });

function component(name: string, runs_out: Until): Component {
  return {
    name,
    what: 'what it is',
    unit: 'cores',
    driver: 'users',
    growth_measured: false,
    units: 2,
    ceiling: 4,
    mode: 'auto',
    short: 0,
    unit_size: figure(0.8),
    capacity_now: figure(1.6),
    capacity: figure(3.2),
    need_now: figure(2),
    per_driver: null,
    months: [],
    course: [],
    runs_out,
    supported_until: '2027-12-01',
    unsupported: '',
    notes: [],
  };
}

function plan(components: Component[], more: Partial<Plan> = {}): Plan {
  return {
    made_at: '2027-01-01T10:00:00.000Z',
    growth: { users: '2x/year' },
    horizon_months: 12,
    until: '2028-01-01',
    first: null,
    actions: [],
    components,
    cost: null,
    sensitivity: [],
    missing: {},
    drivers: {},
    notes: [],
    rules: [],
    ...more,
  };
}

const WEB = component('web', until('2027-02-06', '2027-03-01', '2027-03-19'));
const ACTION: Action = {
  action: 'add_process',
  component: 'web',
  add: figure(10),
  unit: 'processes',
  runs_out: WEB.runs_out,
  lead_days: 14,
  begin_by: '2027-01-23',
  overdue: false,
  monthly_cost: figure(61),
  why: '',
};

describe('a capacity plan', () => {
  test('says what runs out first, in which interval, and by when to start', () => {
    const said = verdict(plan([WEB], { first: { component: 'web', runs_out: WEB.runs_out }, actions: [ACTION] }));
    expect(said.head).toBe('Web runs out first,');
    expect(said.text).toBe('between 6 Feb 2027 and 19 Mar 2027 (90% interval). Add web processes: that takes 14 days. Start by');
    expect(said.begin).toBe('23 Jan 2027');
  });

  test('that is overdue is bad, and nothing that runs out is good', () => {
    const first = { component: 'web', runs_out: WEB.runs_out };
    expect(verdict(plan([WEB], { first, actions: [{ ...ACTION, overdue: true }] })).tone).toBe('bad');
    expect(verdict(plan([component('web', until(null, null, null))]))).toMatchObject({
      tone: 'good',
      text: 'which is until 1 Dec 2027 at least.',
    });
    expect(verdict(plan([])).tone).toBe('unknown');
  });
  test('tells what bounds allow from what has to be had', () => {
    const web = { ...component('web', until(null, null, null)), units: 1, short: 2, mode: 'shadow' };
    expect(missing(plan([web, { ...web, name: 'rooms', short: 1 }]))).toBe(
      'At its peak web takes 3 processes and 1 runs: its bounds allow them, they start within minutes once its mode is auto (it is shadow).',
    );
    expect(missing(plan([component('web', until(null, null, null))]))).toBe('');
    expect(bears(web)).toBe('1 process runs; up to 4 may, which bear 3.2 cores. Its mode is shadow: they are added once it is auto, or by you.');
    expect(bears(component('web', until(null, null, null)))).toBe('2 processes run; up to 4 may, which bear 3.2 cores and come by themselves.');
    expect(bears({ ...web, mode: null })).toBe('What there is bears 3.2 cores.');
  });

  test('whose capacity is passed already says that it is now, without a date', () => {
    const now = until('2027-01-01', '2027-01-01', '2027-01-01');
    const said = verdict(plan([component('web', now)], { first: { component: 'web', runs_out: now }, actions: [{ ...ACTION, overdue: true }] }));
    expect(said.text).toMatch(/^which is now: its need is over what there is\./);
    expect(interval(now)).toBe('1 Jan 2027');
  });

  test('lists in the order of running out, what lasts at the end', () => {
    const lasts = component('storage', until(null, null, null));
    const late = component('rooms', until('2027-08-01', null, null));
    expect(inOrder([lasts, late, WEB]).map((one) => one.name)).toEqual(['web', 'rooms', 'storage']);
    const shard = component('database shard-0', until('2027-10-01', null, null));
    expect(inOrder([lasts, shard, late]).map((one) => one.name)).toEqual(['rooms', 'database shard-0', 'storage']);
    expect(interval(late.runs_out)).toBe('1 Aug 2027 – later');
    expect(interval(lasts.runs_out)).toBe('–');
  });

  test('has bars between now and the horizon, cut where they pass it', () => {
    const whole = bar(until('2027-01-01', '2027-07-02', '2028-06-01'), '2027-01-01T10:00:00Z', '2028-01-01');
    expect(whole?.low).toBe(0);
    expect(whole?.middle).toBeCloseTo(0.5, 2);
    expect(whole?.high).toBe(1);
    expect(bar(until(null, null, null), '2027-01-01', '2028-01-01')).toBeNull();
    expect(bar(until('2028-02-01', null, null), '2027-01-01', '2028-01-01')).toBeNull();
  });

  test('knows which series shows what a component took, and its highest of a day', () => {
    expect(measuredAs('web')).toEqual({ component: 'web', metric: 'demand', part: '' });
    expect(measuredAs('database shard-0 reads')).toEqual({ component: 'database', metric: 'readers_busy', part: 'shard-0' });
    expect(measuredAs('workers')).toBeNull();
    const points = [
      { timestamp: '2027-01-01T08:00:00Z', most: 2 },
      { timestamp: '2027-01-01T09:00:00Z', most: 5 },
      { timestamp: '2027-01-02T09:00:00Z', most: null },
      { timestamp: '2027-01-03T09:00:00Z', most: 1 },
    ];
    expect(daily(points).map((one) => one.value)).toEqual([5, 1]);
  });

  test('tells what changes a date most', () => {
    const swing = { input: 'growth', component: 'web', date_low: '2027-01-01', date_high: '2027-03-01', days: 62, cost_low: null, cost_high: null };
    const rows = [swing, { ...swing, input: 'the peak of now', days: null, date_high: null }, { ...swing, component: 'rooms' }];
    expect(swings(plan([], { sensitivity: rows }), 'web')).toEqual(['Growth ±31 days', 'The peak of now: 1 Jan 2027 or later']);
    expect(swings(plan([], { sensitivity: [{ ...swing, days: 0 }] }), 'web')).toEqual([]);
    expect(extent(figure(2e9), 'bytes')).toBe('2 GB (1.6 GB to 2.4 GB)');
    expect(extent(figure(0.5), 'share')).toBe('50% (40% to 60%)');
    expect(extent({ low: 1, middle: 1, high: 1 }, 'shards')).toBe('1 shard');
    expect(extent({ low: 0, middle: 0, high: 3 }, 'workers')).toBe('up to 3 workers');
  });

  test('is exported with a row for each component, safe for a spreadsheet', () => {
    const odd = component('=cmd, "x"', until(null, null, null));
    const [head, first, second] = asCsv(plan([odd, WEB], { actions: [ACTION] })).trimEnd().split('\n');
    expect(head?.split(',').length).toBe(13);
    expect(first).toBe('web,cores,2,3.2,2027-02-06,2027-03-01,2027-03-19,Add web processes,14,2027-01-23,10,61,');
    expect(second).toMatch(/^"'=cmd, ""x""",cores/);
  });
});

function report(days: [string, string, string][], more: Partial<Report> = {}): Report {
  return {
    at: '2027-01-15T12:00:00.000Z',
    prices: { provider: 'p', version: '1', currency: 'EUR', region: '', date: '', source: '', assumed: {} },
    why: '',
    now: { hour: '0.1', day: '2.40', month: '73', lines: [], unpriced: [] },
    since: '2027-01-01',
    days: days.map(([day, total, hours]) => ({ day, total, hours, version: '1' })),
    total: '30',
    features: {},
    tenants: {},
    regions: {},
    unit_costs: { launch: null, message: null, lecture_hour: null, launches: 0, messages: 0, lecture_hours: '0' },
    month: { month: '2027-01', to_date: '30', expected: '70', low: '60', high: '80', confidence: 0.9, days: 14, why: '' },
    missing: [],
    ...more,
  };
}

const TWO_WEEKS: [string, string, string][] = Array.from({ length: 15 }, (_, index) => [
  `2027-01-${String(index + 1).padStart(2, '0')}`,
  index < 7 ? '2.00' : '3.00',
  '24',
]);

describe('costs', () => {
  test('compare whole weeks, and leave a day that was not measured unknown', () => {
    expect(sumOf(report(TWO_WEEKS), 7, 0)).toBe(21);
    expect(sumOf(report(TWO_WEEKS), 14, 7)).toBe(14);
    expect(againstLastWeek(report(TWO_WEEKS))).toBeCloseTo(0.5);
    expect(againstLastWeek(report(TWO_WEEKS.filter(([day]) => day !== '2027-01-10')))).toBeNull();
    expect([0.5, -0.1, 0.001, null].map(change)).toEqual(['50% more', '10% less', 'as the week before', '–']);
  });

  test('say the day at the pace of now, the month and the week in one sentence', () => {
    const said = costVerdict(report(TWO_WEEKS));
    expect(said.head).toBe('A day costs €2.40 at the pace of now.');
    expect(said.text).toBe('2027-01 will come to about €70.00, €60.00 to €80.00 (90%). The last seven days cost 50% more than the seven before.');
    expect(said.tone).toBe('warning');
    expect(today(report(TWO_WEEKS))).toEqual({ sofar: '3.00', expected: '2.40' });
  });

  test('say where prices are made up, and without a pace that it is not known', () => {
    const made = report(TWO_WEEKS);
    expect(costVerdict({ ...made, prices: { ...made.prices, version: 'made up' } }).text).toContain('Prices are made up');
    expect(costVerdict(made).text).not.toContain('made up');
    expect(costVerdict(report([], { now: null })).tone).toBe('unknown');
  });

  test('that take two to change say who has agreed', () => {
    const planned = { applied: false, needed: 2, approvals: [{ by: 'ada', at: '' }] };
    expect(waiting(planned)).toBe('1 of 2 agreed: ada. It is done when another one agrees.');
  });

  test('by day hold until the next one, and leave gaps', () => {
    const days: [string, string, string][] = [['2027-01-14', '2.00', '0'], ['2027-01-15', '3.00', '12']];
    const chart = byDay(report(days));
    expect(chart.lines[0]?.values).toEqual([null, 3, 3]);
    expect(chart.to).toBe(Date.parse('2027-01-16') / 1000);
    expect(chart.from).toBe(Date.parse('2027-01-01') / 1000);
  });

  test('are divided with the largest first and the rest of many as one', () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`t${index}`, String(index)]));
    const rows = parts(many, 5);
    expect(rows.map((one) => one.name)).toEqual(['t19', 't18', 't17', 't16', '16 others']);
    expect(rows.reduce((sum, one) => sum + one.share, 0)).toBeCloseTo(1);
    expect(parts({})).toEqual([]);
  });
});
