/** What the page of replicas says and draws. */
import { above, type Chart, gaps, total } from '../parts/chart';
import { bytes, percent, several, span } from '../words.svelte';
import type { Recorded, Replica, Replicas } from './answers';
import type { Said } from './shards';

/** Whether reads go to all of them, in a sentence. */
export function standing(value: Replicas): Said {
  const away = value.replicas.filter((one) => !one.healthy);
  if (away.length === 0) return { tone: 'good', text: `${several(value.replicas.length, 'replica')}, all answer reads.` };
  const named = away.map((one) => `${one.replica} (${one.fault})`).join(', ');
  const left = value.replicas.length - away.length;
  const rest = left > 0 ? `Reads go to the other ${left}` : 'Reads go to the primaries, within a bound';
  return { tone: left > 0 ? 'warning' : 'bad', text: `No reads go to ${named}. ${rest}.` };
}

export const state = (one: Replica): Said => (one.healthy ? { tone: 'good', text: 'Answers reads' } : { tone: 'bad', text: 'No reads' });

/** "0.2 s, 4.1 kB"; what is not known is not said. */
export function lag(one: Replica): string {
  const parts = [one.lag_seconds === null ? '' : span(one.lag_seconds), one.lag_bytes === null ? '' : bytes(one.lag_bytes)];
  return parts.filter(Boolean).join(', ') || 'not known';
}

/** The lag of a replica over the last hour, beside the lag at which no read goes there. */
export function chartOf(record: Recorded, most: number): Chart {
  const times = record.points.map((point) => Date.parse(point.timestamp) / 1000);
  const values = record.points.map((point) => point.most);
  const over = above(times, values, most);
  const known = values.filter((value) => value !== null);
  const worst = Math.max(0, ...known);
  const share = percent(known.length / Math.max(1, values.length));
  const late = over.length > 0 ? `, ${total(over, `over ${span(most)}`)}` : '';
  return {
    times,
    lines: [{ label: record.part, kind: 'measured', values }],
    unit: 's',
    format: (value) => span(value),
    threshold: { value: most, label: `no reads from ${span(most)}` },
    over,
    unknown: gaps(times, values),
    sentence: `Lag of ${record.part} in the last hour: at most ${span(worst)}${late}. Measured in ${share} of the time.`,
  };
}

/** What stands beside the title of a chart. */
export function charted(record: Recorded, most: number): string {
  const times = record.points.map((point) => Date.parse(point.timestamp) / 1000);
  return total(above(times, record.points.map((point) => point.most), most), `over ${span(most)}`) || `never over ${span(most)} in the last hour`;
}
