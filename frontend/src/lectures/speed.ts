const WINDOW = 8000;

/** Bytes per second over the last eight seconds, so that the time left does not jump about. */
export class Speed {
  #points: { at: number; bytes: number }[] = [];

  /** `bytes` is the total sent by `at` (milliseconds). */
  add(at: number, bytes: number): void {
    this.#points.push({ at, bytes });
    const oldest = at - WINDOW;
    while (this.#points.length > 2 && (this.#points[0]?.at ?? at) < oldest) this.#points.shift();
  }

  /** Starts anew after a pause, which must not count as slowness. */
  reset(): void {
    this.#points = [];
  }

  get rate(): number {
    const first = this.#points[0];
    const last = this.#points.at(-1);
    if (!first || !last || last.at - first.at < 500) return 0;
    return Math.max(0, ((last.bytes - first.bytes) / (last.at - first.at)) * 1000);
  }

  secondsLeft(bytesLeft: number): number | null {
    const { rate } = this;
    return rate > 0 ? bytesLeft / rate : null;
  }
}
