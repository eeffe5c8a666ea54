import { ownStore } from '../session/storage';
import type { Captions, Video } from '../session/answers';
import type { Session } from '../session/session';
import { type Cue, cueAt, cuesOf } from './vtt';

const KEY = 'atomic-guide.captions';

/** The captions of the shown lecture: the transcript always, the lines on the picture when on. */
export class CaptionTrack {
  lang = $state<string | null>(null);
  on = $state(ownStore.get(KEY) !== 'off');
  cues = $state.raw<Cue[]>([]);
  state = $state<'none' | 'loading' | 'ready' | 'failed'>('none');
  #file = '';

  constructor(readonly session: Session) {}

  /** Takes up a lecture, in the person's language where there is one. */
  show(video: Video, preferred: string): void {
    const list = video.captions ?? [];
    const wanted =
      list.find((one) => one.lang === this.lang) ?? list.find((one) => one.lang.startsWith(preferred)) ?? list[0];
    if (!wanted) {
      this.#file = '';
      this.lang = null;
      this.cues = [];
      this.state = 'none';
      return;
    }
    this.lang = wanted.lang;
    const file = fileOf(video.id, wanted);
    if (file !== this.#file || this.state === 'failed') void this.#load(file, wanted.url);
  }

  choose(video: Video, lang: string | null): void {
    this.on = lang !== null;
    ownStore.set(KEY, this.on ? 'on' : 'off');
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

  async #load(file: string, url: string): Promise<void> {
    this.#file = file;
    this.state = 'loading';
    try {
      const answer = await this.session.send(url);
      const text = await answer.text();
      if (this.#file !== file) return;
      this.cues = cuesOf(text);
      this.state = 'ready';
    } catch {
      if (this.#file !== file) return;
      this.cues = [];
      this.state = 'failed';
    }
  }
}

/** Which file it is: signatures change with each answer, only the version in the query says "new". */
function fileOf(video: string, captions: Captions): string {
  return `${video}/${captions.lang}?${captions.url.split('?')[1] ?? ''}`;
}
