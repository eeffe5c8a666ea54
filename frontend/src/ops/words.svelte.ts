/** Times, amounts and counts as people read them. Times are in UTC or in the zone of the reader, by their choice. */
import { ownStore } from '../session/storage';

const KEY = 'atomic-guide.ops.zone';
export type Zone = 'utc' | 'local';
type Moment = string | number | Date;

class Zones {
  zone = $state<Zone>(ownStore.get(KEY) === 'local' ? 'local' : 'utc');
  /** The time, kept by `tick`, for "how long ago". */
  now = $state(Date.now());

  choose(zone: Zone): void {
    this.zone = zone;
    ownStore.set(KEY, zone);
  }

  get name(): string {
    return this.zone === 'utc' ? 'UTC' : (Intl.DateTimeFormat().resolvedOptions().timeZone ?? 'local time');
  }

  format(moment: Moment, options: Intl.DateTimeFormatOptions): string {
    const at = new Date(moment);
    if (Number.isNaN(at.getTime())) return '–';
    return new Intl.DateTimeFormat('en-GB', { ...options, ...(this.zone === 'utc' ? { timeZone: 'UTC' } : {}) }).format(at);
  }
}

export const zones = new Zones();

/** 14:05 */
export const clock = (moment: Moment): string => zones.format(moment, { hour: '2-digit', minute: '2-digit' });
/** 14:05:09 */
export const exact = (moment: Moment): string =>
  zones.format(moment, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
/** 23 Nov */
export const date = (moment: Moment): string => zones.format(moment, { day: 'numeric', month: 'short' });
/** 23 Nov 2026 */
export const fullDate = (moment: Moment): string => zones.format(moment, { day: 'numeric', month: 'short', year: 'numeric' });
/** Mon 23 Nov, 14:05 */
export const moment = (when: Moment): string =>
  zones.format(when, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

/** A time of today by its clock, another with its date. */
export function when(at: Moment): string {
  const sameDay = fullDate(at) === fullDate(zones.now);
  return sameDay ? clock(at) : `${date(at)}, ${clock(at)}`;
}

/** "12 s", "4 min", "2.5 h", "3 days": a length of time in seconds. */
export function span(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '–';
  const size = Math.abs(seconds);
  if (size > 0 && size < 0.0995) return `${Number((seconds * 1000).toPrecision(2))} ms`;
  if (size < 99.5) return `${round(seconds)} s`;
  if (size < 5970) return `${round(seconds / 60)} min`;
  if (size < 172_800) return `${round(seconds / 3600)} h`;
  return `${round(seconds / 86_400)} days`;
}

export function ago(at: Moment): string {
  const seconds = Math.max(0, Math.round((zones.now - new Date(at).getTime()) / 1000));
  return `${span(seconds)} ago`;
}

/** At most three figures that mean something: 0.012, 1.3, 14, 1,204. */
export function round(value: number): string {
  const size = Math.abs(value);
  const digits = size === 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(size)));
  return new Intl.NumberFormat('en-GB', { maximumFractionDigits: digits }).format(value);
}

export const count = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : new Intl.NumberFormat('en-GB').format(value);

/** 64%, 9.5%, 0.17% */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return '–';
  const size = Math.abs(share * 100);
  const digits = size === 0 || size >= 9.95 ? 0 : size >= 0.995 ? 1 : Math.min(4, 1 - Math.floor(Math.log10(size)));
  return `${new Intl.NumberFormat('en-GB', { maximumFractionDigits: digits }).format(share * 100)}%`;
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const step = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${round(value / 1000 ** step)} ${units[step]}`;
}

/** An amount that the server gives as a decimal in text, with its currency. */
export function money(amount: string | number | null | undefined, currency: string): string {
  if (amount === null || amount === undefined || amount === '') return '–';
  try {
    return new Intl.NumberFormat('en-GB', { style: 'currency', currency }).format(Number(amount));
  } catch {
    return `${round(Number(amount))} ${currency}`;
  }
}

/** "1 job", "3 jobs". */
export const several = (number: number, one: string, many = `${one}s`): string => `${count(number)} ${number === 1 ? one : many}`;
