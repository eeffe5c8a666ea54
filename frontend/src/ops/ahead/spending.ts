/** Costs in words and figures. Amounts come as decimals in text; they are only compared and shown here. Pure. */
import type { Chart } from '../parts/chart';
import { fullDate, money, percent, round, several } from '../words.svelte';
import type { Advice, Planned, Report, Verdict } from './shapes';

const DAY = 86_400_000;

/** The total of the days from so many days ago to before so many, today being 0; null where one of them is missing. */
export function sumOf(report: Report, from: number, before: number): number | null {
  const today = Math.floor(Date.parse(report.at) / DAY);
  const by = new Map(report.days.map((one) => [Math.round(Date.parse(one.day) / DAY), one]));
  let sum = 0;
  for (let back = from; back > before; back -= 1) {
    const day = by.get(today - back);
    if (!day || Number(day.hours) <= 0) return null;
    sum += Number(day.total);
  }
  return sum;
}

/** Today so far, of a whole day at the pace of the last hour. */
export function today(report: Report): { sofar: string | null; expected: string | null } {
  const day = report.days.find((one) => one.day === report.at.slice(0, 10));
  return { sofar: day?.total ?? null, expected: report.now?.day ?? null };
}

/** The last seven whole days against the seven before, as a share; null where they are not known. */
export function againstLastWeek(report: Report): number | null {
  const last = sumOf(report, 7, 0);
  const before = sumOf(report, 14, 7);
  return last === null || !before ? null : last / before - 1;
}

export function change(share: number | null): string {
  if (share === null) return '–';
  if (Math.abs(share) < 0.005) return 'as the week before';
  return `${percent(Math.abs(share))} ${share > 0 ? 'more' : 'less'}`;
}

/** The version of the prices of demo data. */
const MADE_UP = 'made up';

export type Told = { tone: 'good' | 'warning' | 'unknown'; head: string; text: string };

export function verdict(report: Report): Told {
  const { currency } = report.prices;
  const prices = report.prices.version === MADE_UP ? ' Prices are made up, as all demo data is; real ones are named with the setting costs.prices.' : '';
  if (!report.now) {
    return { tone: 'unknown', head: 'Nothing has been measured in the last hour,', text: 'so the pace of now is not known. Days that were measured are below.' };
  }
  const month = report.month;
  const share = againstLastWeek(report);
  const week = share === null ? '' : ` The last seven days cost ${share > 0.005 || share < -0.005 ? `${change(share)} than` : 'as much as'} the seven before.`;
  const expected =
    month.expected === null
      ? ''
      : ` ${month.month} will come to about ${money(month.expected, currency)}${month.low !== null && month.high !== null ? `, ${money(month.low, currency)} to ${money(month.high, currency)} (${percent(month.confidence)})` : ''}.`;
  return {
    tone: share !== null && share > 0.25 ? 'warning' : 'good',
    head: `A day costs ${money(report.now.day, currency)} at the pace of now.`,
    text: `${expected}${week}${prices}`.trim(),
  };
}

export type Part = { name: string; amount: string; share: number };

/** A division of the total, the largest first; the rest of many as one. */
export function parts(of: Record<string, string>, most = 12): Part[] {
  const total = Object.values(of).reduce((sum, one) => sum + Number(one), 0);
  const rows = Object.entries(of)
    .map(([name, amount]) => ({ name, amount, share: total ? Number(amount) / total : 0 }))
    .sort((one, other) => Number(other.amount) - Number(one.amount) || one.name.localeCompare(other.name));
  if (rows.length <= most) return rows;
  const rest = rows.slice(most - 1);
  const amount = rest.reduce((sum, one) => sum + Number(one.amount), 0);
  return [...rows.slice(0, most - 1), { name: `${several(rest.length, 'other')}`, amount: String(amount), share: total ? amount / total : 0 }];
}

/** What a change has really saved so far, against what was expected of it. */
export function outcome(found: Verdict): string {
  const saved = `${money(found.saved, found.currency)} saved in ${Math.round(Number(found.hours))} h, ${money(found.expected, found.currency)} expected`;
  const words: Record<string, string> = { 'too early': 'too early to say', hurt: 'more minutes were over capacity than would have been' };
  return `${saved}: ${words[found.outcome] ?? found.outcome}`;
}

/** Who has agreed so far, where it takes more than one. */
export function waiting(planned: Planned): string {
  const given = planned.approvals ?? [];
  const names = given.map((one) => one.by).join(', ');
  return `${given.length} of ${planned.needed ?? 1} agreed${names ? `: ${names}` : ''}. It is done when another one agrees.`;
}

/** What applying would do, for the question. */
export function effect(advice: Advice): string {
  const { change: wanted } = advice;
  const does = wanted ? `${wanted.fleet} has at least ${wanted.least} in the place of ${wanted.former}.` : '';
  return `${does} It should save ${money(advice.saving, advice.currency)} a month. Risk: ${advice.risk}. ${advice.breaks}`.trim();
}

/** What each day cost, as steps that hold for their day; days that were not measured are gaps. */
export function byDay(report: Report): Chart {
  const { currency } = report.prices;
  const values = report.days.map((one) => (Number(one.hours) > 0 ? Number(one.total) : null));
  const times = report.days.map((one) => Date.parse(one.day) / 1000);
  const end = (Math.floor(Date.parse(report.at) / DAY) + 1) * 86_400;
  return {
    // The last day needs an end to hold until.
    times: [...times, end],
    lines: [{ label: 'a day', kind: 'held', values: [...values, values.at(-1) ?? null] }],
    unit: `${currency} a day (UTC)`,
    format: round,
    from: Date.parse(report.since) / 1000,
    to: end,
    sentence: `What each day cost, ${since(report)}: ${money(report.total, currency)} in all.`,
  };
}

export const since = (report: Report): string => `${fullDate(report.since)} to today`;
