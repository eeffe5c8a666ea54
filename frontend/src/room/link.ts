/**
 * One socket after another, for as long as the page lives.
 *
 * States: connecting -> live -> waiting (lost, counting down) -> connecting ... A socket that says
 * nothing for `SILENCE` although pinged is dead, whatever the browser thinks of it (half-open
 * connections after a network change never report an error by themselves).
 */
import type { Frame } from '../session/answers';
import { Refused } from '../session/refusal';

export type State =
  | { name: 'connecting'; lostAt: number | null }
  | { name: 'live' }
  | { name: 'waiting'; lostAt: number; retryAt: number; reason: string | null }
  | { name: 'closed' };

export type Door = {
  /** The address of the next socket, with a fresh ticket. */
  address: () => Promise<string>;
  frame: (frame: Frame) => void;
  state: (state: State) => void;
  open?: (address: string) => WebSocket;
  random?: () => number;
};

export const PING_EVERY = 20_000;
export const SILENCE = 10_000;
const OPENING = 15_000;
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;

/**
 * Milliseconds to wait before attempt number `attempt` (from 0): doubling with half of it random,
 * so that a lecture hall does not come back in one instant. The server's wish is the least.
 */
export function wait(attempt: number, random: number, retryAfter = 0): number {
  const ceiling = Math.min(FIRST_WAIT * 2 ** Math.min(attempt, 10), LONGEST_WAIT);
  const own = ceiling / 2 + (ceiling / 2) * random;
  return Math.round(retryAfter > 0 ? retryAfter * 1000 + (random * ceiling) / 2 : own);
}

export class Link {
  state: State = { name: 'connecting', lostAt: null };
  #socket: WebSocket | undefined;
  #attempt = 0;
  #lostAt: number | null = null;
  #retryAfter = 0;
  #reason: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pulse: ReturnType<typeof setTimeout> | undefined;
  #round = 0;

  constructor(readonly door: Door) {}

  start(): void {
    globalThis.addEventListener?.('online', this.now);
    void this.#connect();
  }

  /** Tries at once, as the person or the network asked. */
  now = (): void => {
    if (this.state.name === 'waiting') void this.#connect();
  };

  send(frame: Frame): boolean {
    if (this.state.name !== 'live' || this.#socket?.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  close(): void {
    globalThis.removeEventListener?.('online', this.now);
    this.#become({ name: 'closed' });
    clearTimeout(this.#timer);
    clearTimeout(this.#pulse);
    this.#drop();
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#timer);
    this.#drop();
    const round = (this.#round += 1);
    this.#become({ name: 'connecting', lostAt: this.#lostAt });
    try {
      const address = await this.door.address();
      if (round === this.#round && this.state.name === 'connecting') this.#listen(address, round);
    } catch (error) {
      if (round !== this.#round) return;
      if (error instanceof Refused && error.status === 401) return this.close();
      if (error instanceof Refused) this.#retryAfter = error.retryAfter ?? 0;
      this.#lost();
    }
  }

  #listen(address: string, round: number): void {
    const socket = this.door.open ? this.door.open(address) : new WebSocket(address);
    this.#socket = socket;
    this.#pulse = setTimeout(() => this.#lost(), OPENING);
    socket.onmessage = (event: MessageEvent<string>) => {
      if (round !== this.#round) return;
      this.#alive();
      this.#hear(parse(event.data));
    };
    socket.onclose = () => {
      if (round === this.#round) this.#lost();
    };
    socket.onerror = () => undefined; // a close follows
  }

  #hear(frame: Frame | undefined): void {
    if (!frame) return;
    if (frame.type === 'welcome') {
      this.#attempt = 0;
      this.#lostAt = null;
      this.#retryAfter = 0;
      this.#reason = null;
      this.#become({ name: 'live' });
    }
    if (frame.type === 'bye') {
      const wish = Number(frame.data?.retry_after ?? 0);
      this.#retryAfter = Number.isFinite(wish) ? Math.max(0, wish) : 0;
      this.#reason = typeof frame.data?.reason === 'string' ? frame.data.reason : null;
    }
    this.door.frame(frame);
  }

  #alive(): void {
    clearTimeout(this.#pulse);
    this.#pulse = setTimeout(() => {
      this.send({ type: 'ping' });
      this.#pulse = setTimeout(() => this.#lost(), SILENCE);
    }, PING_EVERY);
  }

  #lost(): void {
    if (this.state.name === 'closed') return;
    clearTimeout(this.#pulse);
    clearTimeout(this.#timer);
    this.#round += 1;
    this.#drop();
    const now = Date.now();
    this.#lostAt ??= now;
    const delay = wait(this.#attempt, (this.door.random ?? Math.random)(), this.#retryAfter);
    this.#attempt += 1;
    this.#retryAfter = 0;
    this.#become({ name: 'waiting', lostAt: this.#lostAt, retryAt: now + delay, reason: this.#reason });
    this.#timer = setTimeout(() => void this.#connect(), delay);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  #become(state: State): void {
    this.state = state;
    this.door.state(state);
  }
}

function parse(text: string): Frame | undefined {
  try {
    const frame: unknown = JSON.parse(text);
    return typeof (frame as Frame | null)?.type === 'string' ? (frame as Frame) : undefined;
  } catch {
    return undefined;
  }
}
