import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Refused } from '../src/session/refusal';
import { Api, search, sentence } from '../src/ops/api';
import { Live } from '../src/ops/live.svelte';
import { find, pages } from '../src/ops/pages';
import { above, type Chart, gaps, highest, steps, thinned, total } from '../src/ops/parts/chart';
import { placed } from '../src/ops/parts/command';
import { bytes, percent, round, several, span } from '../src/ops/words.svelte';

const answer = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers });
const refused = (code: string): unknown => ({ error: { code, message: `it is ${code}`, details: {}, timestamp: '' } });

describe('commands to copy', () => {
  it('name the data directory where they would take another one', () => {
    expect(placed('atomic-guide settings alerts', '')).toBe('atomic-guide settings alerts');
    expect(placed('atomic-guide settings alerts', '/srv/guide')).toBe('atomic-guide settings alerts --data /srv/guide');
    expect(placed('atomic-guide alerts', "/srv/it's here")).toBe("atomic-guide alerts --data '/srv/it'\\''s here'");
  });
});

describe('asking the server', () => {
  it('sends the same key with each attempt of one change, and its own header', async () => {
    const asked: RequestInit[] = [];
    const replies = [answer(503, refused('BUSY'), { 'Retry-After': '0' }), answer(200, { done: true })];
    const api = new Api((_path, request) => {
      asked.push(request ?? {});
      return Promise.resolve(replies.shift() ?? answer(500, {}));
    });
    expect(await api.post('/api/ops/scaling/pause', { fleet: 'web' })).toEqual({ done: true });
    const headers = asked.map((one) => one.headers as Record<string, string>);
    expect(headers).toHaveLength(2);
    expect(headers[0]?.['Idempotency-Key']).toBe(headers[1]?.['Idempotency-Key']);
    expect(headers[0]?.['Atomic-Guide-Console']).toBe('1');
  });

  it('gives up after three attempts, and at once where the wait is long', async () => {
    let calls = 0;
    const api = new Api(() => {
      calls += 1;
      return Promise.resolve(answer(429, refused('RATE'), { 'Retry-After': calls > 3 ? '600' : '0' }));
    });
    await expect(api.get('/api/ops/x')).rejects.toBeInstanceOf(Refused);
    expect(calls).toBe(3);
    await expect(api.get('/api/ops/x')).rejects.toMatchObject({ status: 429 });
    expect(calls).toBe(4);
  });

  it('says when the session is over, and what went wrong in a sentence', async () => {
    const api = new Api(() => Promise.resolve(answer(401, refused('UNAUTHENTICATED'))));
    const ended = vi.fn();
    api.onEnd = ended;
    const error = await api.get('/api/ops/x').catch((thrown: unknown) => thrown);
    expect(ended).toHaveBeenCalledOnce();
    expect(sentence(error)).toBe('it is UNAUTHENTICATED');
    expect(sentence(new TypeError('failed to fetch'))).toBe('The server cannot be reached.');
  });

  it('leaves out what is not asked for', () => {
    expect(search({ a: 'x y', b: '', c: undefined, d: null, e: 0, f: false })).toBe('?a=x+y&e=0&f=false');
    expect(search({})).toBe('');
  });
});

describe('live events', () => {
  class Source extends EventTarget {
    onopen: (() => void) | null = null;
    onerror: (() => void) | null = null;
    closed = false;
    close(): void {
      this.closed = true;
    }
    say(kind: string, data: string): void {
      this.dispatchEvent(new MessageEvent(kind, { data }));
    }
  }
  const made: Source[] = [];
  const open = (): Live => {
    const live = new Live(() => {
      const source = new Source();
      made.push(source);
      return source as unknown as EventSource;
    });
    live.open();
    made[0]?.onopen?.();
    return live;
  };
  beforeEach(() => {
    vi.useFakeTimers();
    made.length = 0;
  });
  afterEach(() => vi.useRealTimers());

  it('tells who wants to know, until they do not', () => {
    const live = open();
    const heard = vi.fn();
    const off = live.on('alert', heard);
    made[0]?.say('alert', '{"rule":"x"}');
    made[0]?.say('alert', 'no JSON');
    off();
    made[0]?.say('alert', '{}');
    expect(heard.mock.calls).toEqual([[{ rule: 'x' }]]);
    made[0]?.say('overview', '{"alerts":2}');
    expect(live.counts).toEqual({ alerts: 2 });
    made[0]?.say('depth', '{"queues":[{"queue":"video","states":{"queued":3}},{"queue":"rosters","states":{"running":1}}]}');
    made[0]?.say('depth', '{"queues":[{"queue":"video","states":{}}]}');
    expect(live.depths).toEqual({ video: {}, rosters: { running: 1 } });
    live.close();
  });

  it('connects again after a break, later each time, and says that it is back', () => {
    const live = open();
    const back = vi.fn();
    live.on('open', back);
    made[0]?.onerror?.();
    expect(live.state).toBe('broken');
    expect(made[0]?.closed).toBe(true);
    const first = live.again - Date.now();
    vi.advanceTimersByTime(first + 1);
    made[1]?.onerror?.();
    expect(live.again - Date.now()).toBeGreaterThan(first);
    vi.advanceTimersByTime(60_000);
    made[2]?.onopen?.();
    expect(back).toHaveBeenCalledOnce();
    expect(live.state).toBe('live');
    live.close();
  });

  it('takes a stream that is silent for dead', () => {
    const live = open();
    vi.advanceTimersByTime(20_000);
    made[0]?.say('beat', '');
    vi.advanceTimersByTime(20_000);
    expect(live.state).toBe('live');
    vi.advanceTimersByTime(20_000);
    expect(live.state).toBe('broken');
    live.close();
  });
});

describe('addresses', () => {
  it('find a page and its parts', () => {
    expect(find('/ops')?.page.title).toBe('Overview');
    expect(find('/ops/')?.page.title).toBe('Overview');
    expect(find('/ops/nothing/of/that')).toBeUndefined();
  });

  it('are there once, and those under another page name one that is there', () => {
    const paths = pages.map((page) => page.path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const page of pages) expect(page.group ?? paths.find((path) => path === page.under)).toBeTruthy();
  });
});

describe('charts', () => {
  const times = [0, 10, 20, 30, 40];

  it('know where there is no data, up to now', () => {
    expect(gaps(times, [1, null, null, 2, 3])).toEqual([[0, 30]]);
    expect(gaps(times, [null, 1, 2, null, null], 40)).toEqual([
      [0, 10],
      [20, 40],
    ]);
    expect(gaps(times, [1, 2, 3, 4, 5])).toEqual([]);
  });

  it('know where a limit was exceeded, joined, and never where nothing is known', () => {
    expect(above(times, [1, 5, 5, null, 6], 4)).toEqual([[10, 30]]);
    expect(total([[0, 600]], 'over')).toBe('10 min over');
    expect(total([[0, 5]], 'over')).toBe('1 min over');
    expect(total([], 'over')).toBe('');
  });

  it('have an axis from zero in whole steps over the highest value', () => {
    expect(steps(0.93, 2)).toEqual([0, 0.5, 1]);
    expect(steps(312, 4)).toEqual([0, 100, 200, 300, 400]);
    expect(steps(0, 2)).toEqual([0, 0.5, 1]);
    expect(steps(1000, 2, true)).toEqual([0, 600, 1200]);
    const chart: Chart = {
      times,
      lines: [{ label: 'a', kind: 'forecast', values: [1, 2], low: [0, 1], high: [3, 9] }],
      unit: '',
      format: String,
      threshold: { value: 4, label: '4' },
      sentence: '',
    };
    expect(highest(chart)).toBe(9);
  });

  it('have tables with a bound that keep the last row', () => {
    expect(thinned(5, 10)).toEqual([0, 1, 2, 3, 4]);
    expect(thinned(1000, 100)).toHaveLength(101);
    expect(thinned(1000, 100).at(-1)).toBe(999);
    expect(thinned(0, 10)).toEqual([]);
  });
});

describe('numbers as people read them', () => {
  it.each([
    [0.0004, '0.4 ms'],
    [0.25, '0.25 s'],
    [71, '71 s'],
    [150, '2.5 min'],
    [43_200, '12 h'],
    [864_000, '10 days'],
    [0, '0 s'],
    [null, '–'],
  ])('%s seconds are %s', (seconds, text) => expect(span(seconds)).toBe(text));

  it('have three figures that mean something', () => {
    expect([0.01234, 1.2345, 12.345, 1234.5, 0].map(round)).toEqual(['0.0123', '1.23', '12.3', '1,235', '0']);
    expect([0.8769, 0.0951, 0.00168, 0].map(percent)).toEqual(['88%', '9.5%', '0.17%', '0%']);
    expect([bytes(0), bytes(1536), bytes(31e9)]).toEqual(['0 B', '1.54 kB', '31 GB']);
    expect([several(1, 'job'), several(1204, 'job')]).toEqual(['1 job', '1,204 jobs']);
  });
});
