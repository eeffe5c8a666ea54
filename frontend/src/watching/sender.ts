import { identity, Refused } from '../session/refusal';

export type Sent = { id: string; type: string; at: string; data: Record<string, unknown> };
export type Answer = { rejected: { id: string; reason: string }[]; now: string };
/** `leaving`: the page may be gone before there is an answer. */
export type Post = (events: readonly Sent[], leaving: boolean) => Promise<Answer>;

const MOST = 100;
const SOON = 1000;
const LATER = 5000;
const LATEST = 120_000;
/** What is kept while the server does not answer: an hour of watching. */
const HELD = 600;
const DRIFT = 60_000;

/**
 * Sends what happens in the page, at most 100 events at a time or what there is after a second. Each
 * has an id by which the server knows it again, so that sending twice is harmless and losing an
 * answer is too.
 */
export class Sender {
  #waiting: Sent[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy = false;
  #failures = 0;
  /** How far the server's clock is ahead of this computer's, where that matters. */
  #drift = 0;

  constructor(
    readonly post: Post,
    readonly now: () => number = Date.now,
  ) {}

  get waiting(): number {
    return this.#waiting.length;
  }

  add(type: string, data: Record<string, unknown> = {}): void {
    this.#waiting.push({ id: identity(), type, at: new Date(this.now() + this.#drift).toISOString(), data });
    if (this.#waiting.length > HELD) this.#waiting.shift();
    if (this.#waiting.length >= MOST && this.#failures === 0) void this.flush();
    else this.#plan(SOON);
  }

  /** Sends what waits. `leaving` also sends what is under way once more, as nobody will hear the answer. */
  async flush(leaving = false): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#waiting.slice(0, MOST);
    if (batch.length === 0 || (this.#busy && !leaving)) return;
    this.#busy = true;
    try {
      const answer = await this.post(batch, leaving);
      this.#failures = 0;
      this.#drop(batch);
      this.#heed(batch, answer);
    } catch (error) {
      this.#failures += 1;
      // What the server will never take must not keep the rest from it.
      if (error instanceof Refused && error.status >= 400 && error.status < 429 && error.status !== 401) this.#drop(batch);
    } finally {
      this.#busy = false;
      if (this.#waiting.length > 0) this.#plan(this.#failures === 0 ? SOON : Math.min(LATER * 2 ** (this.#failures - 1), LATEST));
    }
  }

  #plan(wait: number): void {
    this.#timer ??= setTimeout(() => void this.flush(), wait);
  }

  #drop(batch: readonly Sent[]): void {
    const sent = new Set(batch.map((one) => one.id));
    this.#waiting = this.#waiting.filter((one) => !sent.has(one.id));
  }

  /** A clock that is wrong makes the server refuse events once; from then on its time is used. */
  #heed(batch: readonly Sent[], answer: Answer): void {
    const drift = new Date(answer.now).getTime() - this.now();
    if (answer.rejected.length === 0 || Math.abs(drift - this.#drift) < DRIFT) return;
    const change = drift - this.#drift;
    this.#drift = drift;
    const refused = new Set(answer.rejected.map((one) => one.id));
    const again = batch
      .filter((one) => refused.has(one.id))
      .map((one) => ({ ...one, at: new Date(new Date(one.at).getTime() + change).toISOString() }));
    this.#waiting = [...again, ...this.#waiting];
  }
}
