/**
 * The page's right to talk to the server.
 *
 * The token lives in memory only; a reload gets a new one for the one-time resume code in
 * the tab's storage. A new window has its own, empty storage (the frame's is partitioned), so it asks
 * the page that opened it for a code. When no way is left, `onEnd` is called once.
 */
import type { Course, Grant, Person } from './answers';
import { BOOKMARK, Bookmarks, type Sent } from './bookmarks';
import { identity, Refused, refusalOf } from './refusal';
import { tabStore } from './storage';

const RESUME = 'atomic-guide.resume';
const RETURN = 'atomic-guide.return';
const TIMEOUT = 20_000;
const REFRESH_BEFORE = 60_000;
const RETRIES = 2;
const LONGEST_WAIT = 10_000;

export type Options = {
  method?: string;
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  timeout?: number;
  /** The request outlives the page that is being left. */
  keepalive?: boolean;
  /** An event has told of something: show all that is committed. */
  current?: boolean;
};

type Window_ = Pick<Window, 'postMessage'>;

export class Session {
  user: Person = { id: '', name: '' };
  course = { id: '', title: '' };
  onEnd: () => void = () => undefined;
  readonly bookmarks = new Bookmarks();
  #token = '';
  #timer: ReturnType<typeof setTimeout> | undefined;
  #renewing: Promise<void> | undefined;
  #ended = false;
  #proof = { code: '', key: '' };
  readonly #siblings = new BroadcastChannel('atomic-guide');

  /** Exchanges the page's one-time code, or after a reload the resume code. Rejects when both fail. */
  async start(code: string | null): Promise<void> {
    const proof = code ?? tabStore.get(RESUME) ?? (await askOpener());
    if (!proof) throw new Refused(401, 'UNAUTHENTICATED', 'no code');
    await this.#exchange(proof);
    this.#listen();
    document.addEventListener('visibilitychange', () => {
      // Timers stand still while a laptop sleeps, so the token may have run out meanwhile.
      if (!document.hidden && Date.now() > this.#expires - REFRESH_BEFORE) void this.#renew().catch(() => this.#end());
    });
  }

  get bearer(): string {
    return this.#token;
  }

  get returnUrl(): string | null {
    return tabStore.get(RETURN);
  }

  /** Remembers the way back to the LMS for the time after the session. */
  remember(course: Course): void {
    if (course.return_url && /^https?:/.test(course.return_url)) tabStore.set(RETURN, course.return_url);
  }

  /** JSON in, JSON out. Waits for Retry-After twice at most, renews the token once after a 401. */
  async call<T>(path: string, options: Options = {}): Promise<T> {
    const answer = await this.send(path, options);
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  }

  async send(path: string, options: Options = {}): Promise<Response> {
    // One key for all attempts: a retried POST must not act twice.
    const key = identity();
    let renewed = false;
    for (let attempt = 0; ; attempt += 1) {
      const used = this.#token;
      const sent = this.bookmarks.send(options.current);
      const answer = await fetch(path, this.#request(options, key, sent));
      this.bookmarks.keep(sent, answer.headers.get(BOOKMARK));
      if (answer.ok) return answer;
      const refusal = await refusalOf(answer);
      if (answer.status === 401 && !renewed) {
        renewed = true;
        if (used === this.#token) await this.renew();
        continue;
      }
      if (answer.status === 401) this.#end();
      const wait = refusal.retryAfter === undefined ? Infinity : refusal.retryAfter * 1000;
      if (![429, 503].includes(answer.status) || attempt >= RETRIES || wait > LONGEST_WAIT) throw refusal;
      await new Promise((done) => setTimeout(done, wait + Math.random() * 300));
    }
  }

  /** A new token by the resume code, after the server no longer knows the old one. */
  renew(): Promise<void> {
    this.#renewing ??= this.#resume().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  /** Opens the course in a window of its own, and gives it a code when it asks. False when that is blocked. */
  open(): boolean {
    const opened = window.open('/course', '_blank');
    if (!opened) return false;
    const give = (event: MessageEvent): void => {
      if (event.source !== opened || event.origin !== location.origin || event.data !== RESUME) return;
      window.removeEventListener('message', give);
      void this.#spare().then((code) => (event.source as Window_ | null)?.postMessage({ [RESUME]: code }, { targetOrigin: location.origin }));
    };
    window.addEventListener('message', give);
    setTimeout(() => window.removeEventListener('message', give), TIMEOUT);
    return true;
  }

  #expires = 0;

  /** A resume code to give away, and a fresh one for this page. */
  async #spare(): Promise<string | null> {
    await this.#renew();
    const code = tabStore.get(RESUME);
    await this.#renew();
    return code;
  }

  async #resume(): Promise<void> {
    const code = tabStore.get(RESUME);
    tabStore.remove(RESUME);
    try {
      if (!code) throw new Refused(401, 'UNAUTHENTICATED', 'no resume code');
      await this.#exchange(code);
    } catch (error) {
      if (error instanceof Refused) this.#end();
      else if (code) tabStore.set(RESUME, code); // the network failed, not the code
      throw error;
    }
  }

  async #exchange(code: string): Promise<void> {
    // An answer may be lost after the code was used; the same key then gets the same session again.
    if (this.#proof.code !== code) this.#proof = { code, key: identity() };
    this.#accept(await post<Grant>('/api/session', { code }, { 'Idempotency-Key': this.#proof.key }));
    this.#siblings.postMessage(code);
  }

  /**
   * A duplicated tab, or a window opened from here, gets a copy of this tab's storage and with it the
   * same one-time code. Whoever uses it says so, and the others get themselves another.
   */
  #listen(): void {
    this.#siblings.onmessage = (event: MessageEvent<unknown>) => {
      if (event.data === tabStore.get(RESUME)) void this.#renew().catch(() => undefined);
    };
  }

  async #renew(): Promise<void> {
    try {
      this.#accept(await post<Grant>('/api/session/refresh', {}, { Authorization: `Bearer ${this.#token}` }));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.renew();
    }
  }

  #accept(grant: Grant): void {
    this.#token = grant.token;
    if (grant.user) this.user = grant.user;
    if (grant.course) this.course = grant.course;
    if (grant.resume) tabStore.set(RESUME, grant.resume);
    const life = grant.expires_in * 1000;
    this.#expires = Date.now() + life;
    clearTimeout(this.#timer);
    const again = (): void => {
      this.#timer = setTimeout(again, REFRESH_BEFORE / 4);
      void this.#renew().catch(() => undefined);
    };
    this.#timer = setTimeout(again, Math.max(life - REFRESH_BEFORE, 5000));
  }

  #request(options: Options, key: string, sent: Sent): RequestInit {
    const method = options.method ?? 'GET';
    const headers: Record<string, string> = { Authorization: `Bearer ${this.#token}`, ...options.headers };
    if (sent.header !== null) headers[BOOKMARK] = sent.header;
    if (method === 'POST') headers['Idempotency-Key'] = key;
    if (options.json !== undefined) headers['Content-Type'] = 'application/json';
    const body = options.json === undefined ? options.body : JSON.stringify(options.json);
    return {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      ...(options.keepalive ? { keepalive: true } : {}),
      signal: AbortSignal.timeout(options.timeout ?? TIMEOUT),
      cache: 'no-store',
    };
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.onEnd();
  }
}

async function post<T>(path: string, json: unknown, extra: Record<string, string>): Promise<T> {
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': identity(), ...extra };
  const answer = await fetch(path, {
    method: 'POST',
    headers,
    body: JSON.stringify(json),
    signal: AbortSignal.timeout(TIMEOUT),
    cache: 'no-store',
  });
  if (!answer.ok) throw await refusalOf(answer);
  return (await answer.json()) as T;
}

async function askOpener(): Promise<string | null> {
  const opener = window.opener as Window | null;
  if (!opener) return null;
  return new Promise((done) => {
    const finish = (code: string | null): void => {
      window.removeEventListener('message', hear);
      clearTimeout(limit);
      done(code);
    };
    const hear = (event: MessageEvent): void => {
      if (event.source !== opener || event.origin !== location.origin) return;
      const code: unknown = (event.data as Record<string, unknown> | null)?.[RESUME];
      finish(typeof code === 'string' ? code : null);
    };
    const limit = setTimeout(() => finish(null), 4000);
    window.addEventListener('message', hear);
    opener.postMessage(RESUME, location.origin);
  });
}
