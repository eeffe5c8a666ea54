/**
 * The server's events. One stream for the whole console; whoever wants to know of a kind says so with `on`. After a
 * break it connects again, later each time up to half a minute, and everything that is shown is read again.
 */
export type Kind = 'overview' | 'decision' | 'alert' | 'queue' | 'depth' | 'sample' | 'bye' | 'open';
export type Counts = { alerts?: number; decisions?: number; dead_letters?: number; components?: number };
/** Live jobs by queue and state. */
export type Depths = Record<string, Record<string, number>>;
type State = 'connecting' | 'live' | 'broken';

const KINDS: Kind[] = ['overview', 'decision', 'alert', 'queue', 'depth', 'sample', 'bye'];
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;
/** The server beats each ten seconds; a stream that is silent for longer than three is dead. */
const SILENCE = 32_000;

export class Live {
  state = $state<State>('connecting');
  /** When something came last, and when it will be tried again; milliseconds since 1970. */
  at = $state(0);
  again = $state(0);
  counts = $state.raw<Counts>({});
  /** As the last event said; of a queue that is not among them nothing was said yet. */
  depths = $state.raw<Depths>({});
  readonly #make: (url: string) => EventSource;
  readonly #listeners = new Map<Kind, Set<(data: unknown) => void>>();
  #source: EventSource | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #wait = FIRST_WAIT;

  constructor(make: (url: string) => EventSource = (url) => new EventSource(url)) {
    this.#make = make;
  }

  /** Calls `then` for each event of a kind; gives what ends that. */
  on(kind: Kind, then: (data: unknown) => void): () => void {
    const mine = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, mine.add(then));
    return () => void mine.delete(then);
  }

  open(): void {
    this.close();
    this.state = this.at === 0 ? 'connecting' : 'broken';
    const source = this.#make('/api/ops/live');
    this.#source = source;
    source.onopen = () => {
      this.#wait = FIRST_WAIT;
      this.state = 'live';
      this.at = Date.now();
      this.#tell('open', null);
    };
    source.onerror = () => this.#later();
    source.addEventListener('beat', () => (this.at = Date.now()));
    for (const kind of KINDS) source.addEventListener(kind, (event) => this.#hear(kind, event.data));
    this.#watch = setInterval(() => {
      if (this.state === 'live' && Date.now() - this.at > SILENCE) this.#later();
    }, 4000);
  }

  close(): void {
    this.#source?.close();
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
  }

  #hear(kind: Kind, text: string): void {
    let data: unknown;
    try {
      data = JSON.parse(text);
    } catch {
      return;
    }
    this.at = Date.now();
    if (kind === 'overview') this.counts = data as Counts;
    if (kind === 'depth') {
      const told = (data as { queues: { queue: string; states: Record<string, number> }[] }).queues;
      this.depths = { ...this.depths, ...Object.fromEntries(told.map((one) => [one.queue, one.states])) };
    }
    this.#tell(kind, data);
  }

  #tell(kind: Kind, data: unknown): void {
    for (const then of this.#listeners.get(kind) ?? []) then(data);
  }

  #later(): void {
    this.close();
    this.state = 'broken';
    const wait = this.#wait * (0.75 + Math.random() / 2);
    this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
    this.again = Date.now() + wait;
    this.#timer = setTimeout(() => this.open(), wait);
  }
}

export const live = new Live();
