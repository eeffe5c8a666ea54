import type { Space, Video } from '../session/answers';
import { Refused } from '../session/refusal';
import type { Session } from '../session/session';

const AGAIN = 400;

type Listed = {
  videos: Video[];
  space?: Space;
  quota?: { used: number; allowed: number } | null;
  rules?: { captions_required: boolean };
};

/** The course's lectures, kept up to date by the socket's `video` frames. */
export class Lectures {
  videos = $state.raw<Video[]>([]);
  state = $state<'loading' | 'ready' | 'failed'>('loading');
  chosen = $state<string | null>(null);
  space = $state.raw<Space>();
  quota = $state.raw<Space | null>(null);
  captionsRequired = $state(false);
  readonly watchable = $derived(this.videos.filter(watchable));
  readonly current = $derived(this.watchable.find((one) => one.id === this.chosen) ?? this.watchable[0]);
  readonly session: Session;
  readonly #due = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(session: Session) {
    this.session = session;
  }

  /** `current`: after a time without events. */
  async load(current = false): Promise<void> {
    try {
      const answer = await this.session.call<Listed>('/api/video', { current });
      this.videos = newestFirst(answer.videos);
      this.space = answer.space;
      this.quota = answer.quota ? { used: answer.quota.used, limit: answer.quota.allowed } : null;
      this.captionsRequired = answer.rules?.captions_required ?? false;
      this.state = 'ready';
    } catch {
      if (this.state === 'loading') this.state = 'failed';
    }
  }

  /** Takes a `video` frame: progress at once, the rest by a fetch for several frames together. */
  hear(data: Record<string, unknown>): void {
    const id = String(data.id ?? '');
    if (data.status === 'deleted') return this.drop(id);
    const known = this.videos.find((one) => one.id === id);
    if (known) {
      const progress = Number(data.progress ?? known.progress);
      this.#put({ ...known, progress, status: (data.status as Video['status'] | undefined) ?? known.status });
    }
    // Learners cannot see a lecture before it plays, or one that failed; asking for it would be refused.
    const hidden = ['queued', 'processing', 'failed'].includes(String(data.status));
    if (hidden && this.session.user.role !== 'instructor') return;
    clearTimeout(this.#due.get(id));
    this.#due.set(
      id,
      setTimeout(() => {
        this.#due.delete(id);
        void this.fetch(id, true).catch(() => undefined);
      }, AGAIN),
    );
  }

  /** `current`: an event has told of a change, perhaps before every database has it. */
  async fetch(id: string, current = false): Promise<Video | undefined> {
    try {
      const video = await this.session.call<Video>(`/api/video/${encodeURIComponent(id)}`, { current });
      this.#put(video);
      return video;
    } catch (error) {
      if (!(error instanceof Refused) || (error.status !== 404 && error.status !== 410)) throw error;
      this.drop(id);
      return undefined;
    }
  }

  /** Sets whether students are shown a lecture before it has captions; what the server did not take is shown as it was. */
  async requireCaptions(required: boolean): Promise<void> {
    await this.session
      .send('/api/video/rules', {
        method: 'PUT',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ captions_required: required }),
      })
      .catch(() => undefined);
    await this.load(true);
  }

  /** Asks the server to prepare a failed lecture once more. */
  async again(id: string): Promise<void> {
    await this.session.send(`/api/video/${encodeURIComponent(id)}/retry`, { method: 'POST' }).catch(() => undefined);
    await this.fetch(id).catch(() => undefined);
  }

  /** Has a ready lecture prepared once more; it plays as it is until the new one is complete. */
  async remake(id: string): Promise<void> {
    await this.session.send(`/api/video/${encodeURIComponent(id)}/reprocess`, { method: 'POST' }).catch(() => undefined);
    await this.fetch(id, true).catch(() => undefined);
  }

  drop(id: string): void {
    clearTimeout(this.#due.get(id));
    this.#due.delete(id);
    this.videos = this.videos.filter((one) => one.id !== id);
  }

  #put(video: Video): void {
    const others = this.videos.filter((one) => one.id !== video.id);
    this.videos = newestFirst([...others, video]);
  }
}

export function watchable(video: Video): boolean {
  return (video.status === 'ready' || video.status === 'playable') && Boolean(video.playback);
}

export function newestFirst(videos: readonly Video[]): Video[] {
  return [...videos].sort((one, other) => (other.created_at ?? '').localeCompare(one.created_at ?? '') || one.id.localeCompare(other.id));
}
