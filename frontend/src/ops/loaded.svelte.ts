/**
 * A value that a page shows: read when the page opens, again when its question changes, on events and at intervals.
 * When a read fails, the last value stays, with its time and what went wrong.
 */
import { untrack } from 'svelte';
import { sentence } from './api';
import { live, type Kind } from './live.svelte';

type Options = {
  /** Milliseconds between reads; none without. */
  every?: number;
  /** Events after which it is read again. */
  on?: Kind[];
};

/** Events often come in heaps; one read is for all that come within this many milliseconds. */
const GATHER = 250;

export class Loaded<T> {
  value = $state.raw<T>();
  /** What went wrong with the last read; empty when it went well. */
  problem = $state('');
  /** When the value was read, in milliseconds since 1970. */
  at = $state(0);
  readonly #read: () => Promise<T>;
  #turn = 0;

  /** Made while a component is: it ends with it. `read` may use state; it is asked again when that changes. */
  constructor(read: () => Promise<T>, { every, on = [] }: Options = {}) {
    this.#read = read;
    $effect(() => void this.refresh());
    $effect(() => {
      let gathered: ReturnType<typeof setTimeout> | undefined;
      const soon = (): void => {
        gathered ??= setTimeout(() => {
          gathered = undefined;
          void this.refresh();
        }, GATHER);
      };
      const timer = every === undefined ? undefined : setInterval(() => document.hidden || void this.refresh(), every);
      const off = on.map((kind) => live.on(kind, soon));
      return () => {
        this.#turn += 1;
        clearInterval(timer);
        clearTimeout(gathered);
        for (const stop of off) stop();
      };
    });
  }

  get loading(): boolean {
    return this.value === undefined && this.problem === '';
  }

  /** An answer that a later question has overtaken is dropped. */
  async refresh(): Promise<void> {
    this.#turn = untrack(() => this.#turn) + 1;
    const turn = this.#turn;
    try {
      const value = await this.#read();
      if (turn !== this.#turn) return;
      this.value = value;
      this.at = Date.now();
      this.problem = '';
    } catch (error) {
      if (turn === this.#turn) this.problem = sentence(error);
    }
  }
}
