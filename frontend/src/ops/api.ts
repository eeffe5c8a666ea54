/**
 * What the console asks the server. The session is a cookie that scripts cannot read; whatever changes something
 * carries a header of our own, which no form of another site can send, and an Idempotency-Key.
 */
import { identity, Refused, refusalOf } from '../session/refusal';

const TIMEOUT = 20_000;
const RETRIES = 2;
const LONGEST_WAIT = 5_000;

export type Query = Record<string, string | number | boolean | null | undefined>;

export class Api {
  /** Called when the server no longer knows the session. */
  onEnd: () => void = () => undefined;
  readonly #fetch: typeof fetch;

  constructor(how: typeof fetch = (...asked) => fetch(...asked)) {
    this.#fetch = how;
  }

  /** Reads JSON. Rejects with `Refused`, or with the browser's error where no answer came. */
  get<T>(path: string, query: Query = {}): Promise<T> {
    return this.#send<T>(path + search(query), { headers: {} });
  }

  /** Changes something; every attempt has the same key, so that it is done once. */
  post<T>(path: string, json: unknown = {}, timeout = TIMEOUT): Promise<T> {
    const headers = {
      'Content-Type': 'application/json',
      'Idempotency-Key': identity(),
      'Atomic-Guide-Console': '1',
    };
    return this.#send<T>(path, { method: 'POST', headers, body: JSON.stringify(json) }, timeout);
  }

  async #send<T>(path: string, request: RequestInit, timeout = TIMEOUT): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#fetch(path, { ...request, cache: 'no-store', signal: AbortSignal.timeout(timeout) });
      if (answer.ok) return (answer.status === 204 ? undefined : await answer.json()) as T;
      const refusal = await refusalOf(answer);
      if (answer.status === 401) this.onEnd();
      const wait = refusal.retryAfter === undefined ? Infinity : refusal.retryAfter * 1000;
      if (![429, 503].includes(answer.status) || attempt >= RETRIES || wait > LONGEST_WAIT) throw refusal;
      await new Promise((done) => setTimeout(done, wait + Math.random() * 300));
    }
  }
}

/** What is empty, null or undefined is not asked for. */
export function search(query: Query): string {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') asked.set(name, String(value));
  }
  const text = asked.toString();
  return text && `?${text}`;
}

/** What went wrong, in a sentence for people. */
export function sentence(error: unknown): string {
  if (error instanceof Refused) return error.message;
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'The server did not answer in time.';
  return 'The server cannot be reached.';
}

export const api = new Api();
