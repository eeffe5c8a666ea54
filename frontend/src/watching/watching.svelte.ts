import { Refused } from '../session/refusal';
import type { Session } from '../session/session';
import type { Curve } from './curve';
import { type Answer, Sender, type Sent } from './sender';

const PATH = '/api/analytics/lectures';
const AGAIN = 30_000;

export type Own = { id: string; position: number; position_at: string; watched: number; finished: boolean };
export type Viewer = { user: string; name: string; watched: number; last_at: string };
export type Report = {
  lecture: { id: string; duration: number | null; views: number; viewers: number; finished: number };
  curve: Curve;
  viewers: Viewer[];
};

/** Events of the page, sent over its session. */
export function senderOf(session: Session): Sender {
  const post = async (events: readonly Sent[], leaving: boolean): Promise<Answer> =>
    session.call<Answer>('/api/analytics/events', { method: 'POST', json: { events }, keepalive: leaving });
  return new Sender(post);
}

/** How far the person is, and for instructors how the shown lecture is watched. */
export class Watching {
  report = $state.raw<Report>();
  state = $state<'none' | 'loading' | 'ready' | 'failed'>('none');
  #own = new Map<string, Own>();
  #shown = '';
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    readonly session: Session,
    readonly instructor: boolean,
  ) {}

  /** Reads where the person stopped in each lecture. Without an answer this browser's own memory is used. */
  async load(): Promise<void> {
    try {
      const answer = await this.session.call<{ own: Own[] }>(PATH);
      this.#own = new Map(answer.own.map((one) => [one.id, one]));
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof TypeError) && !(error instanceof DOMException)) throw error;
    }
  }

  /** Where the person stopped in a lecture, on whatever device, and when (ms). */
  stop = (id: string): { position: number; at: number } | undefined => {
    const own = this.#own.get(id);
    return own && { position: own.position, at: new Date(own.position_at).getTime() };
  };

  /** Takes up the figures of a lecture; an empty id ends that. */
  follow(id: string): void {
    if (!this.instructor || id === this.#shown) return;
    this.#shown = id;
    this.report = undefined;
    this.state = id ? 'loading' : 'none';
    clearInterval(this.#timer);
    if (!id) return;
    void this.read();
    this.#timer = setInterval(() => {
      if (!document.hidden) void this.read();
    }, AGAIN);
  }

  async read(): Promise<void> {
    const id = this.#shown;
    try {
      const report = await this.session.call<Report>(`${PATH}/${encodeURIComponent(id)}`);
      if (id !== this.#shown) return;
      this.report = report;
      this.state = 'ready';
    } catch {
      // What was read stays; it is a minute old at most.
      if (id === this.#shown && !this.report) this.state = 'failed';
    }
  }
}
