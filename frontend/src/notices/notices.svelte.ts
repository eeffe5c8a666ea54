import type { Feed, MailChoice, Notice } from '../session/answers';
import type { Session } from '../session/session';

const PAGE = 20;

/** What the person was told in the course: read once, then kept up to date by the socket's `notification` frames. */
export class Notices {
  items = $state.raw<Notice[]>([]);
  unread = $state(0);
  state = $state<'loading' | 'ready' | 'failed'>('loading');
  mail = $state.raw<MailChoice>({ available: false, on: false });
  /** The newest that came while the page was open, for screen readers. */
  latest = $state.raw<Notice | null>(null);
  #next = $state.raw<string | null>(null);
  readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  get more(): boolean {
    return this.#next !== null;
  }

  /** `current`: after a time without events. */
  async load(current = false): Promise<void> {
    try {
      this.#take(await this.session.call<Feed>(`/api/notifications?limit=${PAGE}`, { current }), []);
    } catch {
      if (this.state === 'loading') this.state = 'failed';
    }
  }

  async older(): Promise<void> {
    if (this.#next === null) return;
    const after = encodeURIComponent(this.#next);
    const answer = await this.session.call<Feed>(`/api/notifications?limit=${PAGE}&after=${after}`).catch(() => null);
    if (answer) this.#take(answer, this.items);
  }

  /** A frame is a new entry, or says how many are unread since another page of the person has read some. */
  hear(data: Record<string, unknown>): void {
    if (typeof data.id !== 'string') {
      if (data.unread !== this.unread) void this.load(true);
      return;
    }
    if (this.items.some((one) => one.id === data.id)) return;
    const notice = data as unknown as Notice;
    this.items = [notice, ...this.items];
    this.unread += 1;
    this.latest = notice;
  }

  async read(notice: Notice): Promise<void> {
    if (!notice.read) await this.#mark({ ids: [notice.id] }, (one) => one.id === notice.id);
  }

  /** Only what is shown here: what comes meanwhile stays unread. */
  async readAll(): Promise<void> {
    const [newest] = this.items;
    if (!newest) return;
    const shown = new Set(this.items.map((one) => one.id));
    await this.#mark({ until: newest.id }, (one) => shown.has(one.id));
  }

  async wantMail(on: boolean): Promise<void> {
    await this.#choose({ on });
  }

  /** E-mail speaks the language of the page. */
  async speak(language: string): Promise<void> {
    if (this.mail.available) await this.#choose({ language });
  }

  async #choose(json: Record<string, unknown>): Promise<void> {
    this.mail = await this.session.call<MailChoice>('/api/notifications/mail', { method: 'POST', json });
  }

  async #mark(json: Record<string, unknown>, which: (one: Notice) => boolean): Promise<void> {
    const answer = await this.session
      .call<{ unread: number }>('/api/notifications/read', { method: 'POST', json })
      .catch(() => null);
    if (!answer) return;
    this.unread = answer.unread;
    this.items = this.items.map((one) => (which(one) ? { ...one, read: true } : one));
  }

  #take(answer: Feed, before: Notice[]): void {
    const known = new Set(before.map((one) => one.id));
    this.items = [...before, ...answer.notifications.filter((one) => !known.has(one.id))];
    this.unread = answer.unread;
    this.mail = answer.mail;
    this.#next = answer.next;
    this.state = 'ready';
  }
}
