import { type Code, direction, type Key, nearest, phrase, tag, type Values } from './catalogue';

const KB = 1000;

/** The language of the page and everything that is printed in its way. Reading it is reactive. */
class Language {
  code = $state<Code>('en');
  readonly tag = $derived(tag(this.code));
  readonly direction = $derived(direction(this.code));
  readonly #percent = $derived(new Intl.NumberFormat(this.tag, { style: 'percent' }));
  readonly #clock = $derived(new Intl.DateTimeFormat(this.tag, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }));
  readonly #moment = $derived(
    new Intl.DateTimeFormat(this.tag, { dateStyle: 'medium', timeStyle: 'long' }),
  );
  readonly #day = $derived(new Intl.DateTimeFormat(this.tag, { day: 'numeric', month: 'short' }));
  readonly #relative = $derived(new Intl.RelativeTimeFormat(this.tag, { numeric: 'auto', style: 'short' }));

  use(wanted: string | null | undefined): void {
    this.code = nearest(wanted);
    document.documentElement.lang = this.code;
    document.documentElement.dir = this.direction;
  }

  t = (key: Key, values?: Values): string => phrase(this.code, key, values);

  /** A number with `digits` decimals, or with as many as it needs, up to two. */
  number(value: number, digits?: number): string {
    return new Intl.NumberFormat(this.tag, {
      minimumFractionDigits: digits ?? 0,
      maximumFractionDigits: digits ?? 2,
    }).format(value);
  }

  /** A share 0..1 as a percentage. */
  percent(share: number): string {
    return this.#percent.format(share);
  }

  /** A change in points with its sign: +13, -4, 0. */
  points(value: number): string {
    return new Intl.NumberFormat(this.tag, { signDisplay: 'exceptZero', maximumFractionDigits: 0 }).format(value);
  }

  clock(at: string | number): string {
    return this.#clock.format(new Date(at));
  }

  day(at: string | number): string {
    return this.#day.format(new Date(at));
  }

  /** An end that is near: the time alone where that is today. */
  end(at: string | number): string {
    return new Date(at).toDateString() === new Date().toDateString() ? this.clock(at) : this.moment(at);
  }

  /** Date, time and zone, for titles and `<time>` tooltips. */
  moment(at: string | number): string {
    return this.#moment.format(new Date(at));
  }

  /** How long ago, in the largest fitting unit. */
  ago(at: string | number, now: number): string {
    const seconds = Math.round((new Date(at).getTime() - now) / 1000);
    const steps: [Intl.RelativeTimeFormatUnit, number][] = [
      ['day', 86_400],
      ['hour', 3600],
      ['minute', 60],
    ];
    for (const [unit, size] of steps) {
      if (Math.abs(seconds) >= size) return this.#relative.format(Math.round(seconds / size), unit);
    }
    return this.#relative.format(0, 'minute');
  }

  /** Bytes in decimal units, as file managers print them; a limit is round. */
  bytes(value: number, round = false): string {
    const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
    const step = value < 1 ? 0 : Math.min(Math.floor(Math.log(value) / Math.log(KB)), units.length - 1);
    const scaled = value / KB ** step;
    return new Intl.NumberFormat(this.tag, {
      style: 'unit',
      unit: units[step] ?? 'byte',
      unitDisplay: step === 0 ? 'long' : 'short',
      maximumFractionDigits: round ? 0 : scaled < 10 && step > 1 ? 2 : scaled < 100 && step > 1 ? 1 : 0,
    }).format(scaled);
  }
}

export const language = new Language();
export const t = language.t;

/** Keeps a left-to-right name whole in right-to-left text where no markup is possible. */
export function isolate(text: string): string {
  return `\u2068${text}\u2069`;
}
