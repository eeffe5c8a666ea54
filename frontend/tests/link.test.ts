import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Link, PING_EVERY, SILENCE, type State, wait } from '../src/room/link';
import type { Frame } from '../src/session/answers';

/** The browser's end of a socket, moved by hand. */
class Wire {
  readyState = 1;
  sent: Frame[] = [];
  closed = false;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(readonly address: string) {}
  send(text: string): void {
    this.sent.push(JSON.parse(text) as Frame);
  }
  close(): void {
    this.closed = true;
  }
  says(type: string, data: Record<string, unknown> = {}): void {
    this.onmessage?.({ data: JSON.stringify({ type, data }) });
  }
}

let wires: Wire[];
let states: State[];
let link: Link;
const last = (): Wire => wires.at(-1) as Wire;
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(async () => {
  vi.useFakeTimers({ now: 1_000_000 });
  wires = [];
  states = [];
  link = new Link({
    address: () => Promise.resolve(`ws://course/?ticket=${wires.length}`),
    frame: () => undefined,
    state: (state) => states.push(state),
    random: () => 1,
    open: (address) => {
      const wire = new Wire(address);
      wires.push(wire);
      return wire as unknown as WebSocket;
    },
  });
  link.start();
  await settle();
});
afterEach(() => {
  link.close();
  vi.useRealTimers();
});

describe('reconnection', () => {
  test('is live after the welcome, not before', () => {
    expect(link.state.name).toBe('connecting');
    expect(link.send({ type: 'typing' })).toBe(false);
    last().says('welcome');
    expect(link.state.name).toBe('live');
    expect(link.send({ type: 'typing' })).toBe(true);
  });

  test('counts down after a loss, then opens another socket with a fresh ticket', async () => {
    last().says('welcome');
    last().onclose?.();
    expect(link.state).toMatchObject({ name: 'waiting', lostAt: 1_000_000, retryAt: 1_001_000 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(wires.map((wire) => wire.address)).toEqual(['ws://course/?ticket=0', 'ws://course/?ticket=1']);
  });

  test('remembers when the connection was first lost, over several attempts', async () => {
    last().says('welcome');
    last().onclose?.();
    await vi.advanceTimersByTimeAsync(1000);
    last().onclose?.();
    expect(link.state).toMatchObject({ name: 'waiting', lostAt: 1_000_000 });
  });

  test('does as the person says: now', async () => {
    last().says('welcome');
    last().onclose?.();
    link.now();
    await settle();
    expect(wires).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(60_000 - SILENCE);
    expect(wires.length).toBeLessThanOrEqual(4);
  });

  test('waits as long as a goodbye asks for', () => {
    last().says('welcome');
    last().says('bye', { reason: 'full', retry_after: 7 });
    last().onclose?.();
    const state = link.state as Extract<State, { name: 'waiting' }>;
    expect(state.retryAt - 1_000_000).toBeGreaterThanOrEqual(7000);
    expect(state.reason).toBe('full');
  });

  test('a socket that answers no ping is dead', async () => {
    last().says('welcome');
    await vi.advanceTimersByTimeAsync(PING_EVERY);
    expect(last().sent.at(-1)?.type).toBe('ping');
    await vi.advanceTimersByTimeAsync(SILENCE);
    expect(link.state.name).toBe('waiting');
    expect(wires[0]?.closed).toBe(true);
  });

  test('a socket that answers stays', async () => {
    last().says('welcome');
    await vi.advanceTimersByTimeAsync(PING_EVERY);
    last().says('pong');
    await vi.advanceTimersByTimeAsync(SILENCE);
    expect(link.state.name).toBe('live');
  });

  test('what an abandoned socket still says is not heard', async () => {
    const old = last();
    old.says('welcome');
    old.onclose?.();
    link.now();
    await settle();
    old.onmessage?.({ data: '{"type":"welcome","data":{}}' });
    expect(link.state.name).toBe('connecting');
  });

  test('frames that are no JSON are passed over', () => {
    last().onmessage?.({ data: '{' });
    last().onmessage?.({ data: '7' });
    expect(link.state.name).toBe('connecting');
  });
});

describe('the wait', () => {
  test('doubles up to half a minute', () => {
    expect([0, 1, 2, 3, 4, 5, 9].map((attempt) => wait(attempt, 1))).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  });

  test('is spread over its upper half', () => {
    expect(wait(3, 0)).toBe(4000);
    expect(wait(3, 0.5)).toBe(6000);
  });

  test("is never shorter than the server's wish", () => {
    expect(wait(0, 0, 12)).toBe(12_000);
    expect(wait(0, 1, 12)).toBe(12_500);
  });
});
