import { keep, recall } from '../frame/preferences.svelte';
import type { Video } from '../session/answers';
import type { Session } from '../session/session';
import { type Cue, cueAt, cuesOf } from './vtt';

const KEY = 'atomic-guide.captions';

/** The captions of the shown lecture: the transcript always, the lines on the picture when on. */
export class CaptionTrack {
  lang = $state<string | null>(null);
  on = $state(recall(KEY) !== 'off');
  cues = $state.raw<Cue[]>([]);
  state = $state<'none' | 'loading' | 'ready' | 'failed'>('none');
  #url = '';

  constructor(readonly session: Session) {}

  /** Takes up a lecture, in the person's language where there is one. */
  show(video: Video, preferred: string): void {
    const list = video.captions ?? [];
    const wanted =
      list.find((one) => one.lang === this.lang) ?? list.find((one) => one.lang.startsWith(preferred)) ?? list[0];
    if (!wanted) {
      this.#url = '';
      this.lang = null;
      this.cues = [];
      this.state = 'none';
      return;
    }
    this.lang = wanted.lang;
    // Signatures change with each answer; the same file must not be fetched again for that.
    const file = wanted.url.split('?')[0] ?? wanted.url;
    if (file !== this.#url || this.state === 'failed') void this.#load(file, wanted.url);
  }

  choose(video: Video, lang: string | null): void {
    this.on = lang !== null;
    keep(KEY, this.on ? 'on' : 'off');
    if (lang !== null) {
      this.lang = lang;
      this.show(video, lang);
    }
  }

  /** The index of the line at `time`, or -1 between lines. */
  at(time: number): number {
    return cueAt(this.cues, time);
  }

  textAt(time: number): string {
    const cue = this.cues[this.at(time)];
    return this.on && cue && cue.end > time ? cue.text : '';
  }

  /** Forgets the file, so that a changed one is fetched. */
  forget(): void {
    this.#url = '';
  }

  async #load(file: string, url: string): Promise<void> {
    this.#url = file;
    this.state = 'loading';
    try {
      const answer = await this.session.send(url);
      const text = await answer.text();
      if (this.#url !== file) return;
      this.cues = cuesOf(text);
      this.state = 'ready';
    } catch {
      if (this.#url !== file) return;
      this.cues = [];
      this.state = 'failed';
    }
  }
}
