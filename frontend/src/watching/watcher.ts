/** What the player shows at a moment. */
export type Shown = {
  video: string;
  time: number;
  duration: number;
  paused: boolean;
  /** The language of the captions on the picture. */
  captions: string | null;
};
export type Say = (type: string, data: Record<string, unknown>) => void;

/** Seconds of a lecture that are said at once: a tenth of the posts, and a place to go on that is as good. */
const SPAN = 10;
/** A step further than this is a jump: browsers tell the time once a second at least, at twice the speed. */
const STEP = 4;
const END = 0.75;

/** Turns what the player shows into events: which seconds were played, and when it began, stopped and ended. */
export class Watcher {
  #video = '';
  #playing = false;
  #time = 0;
  #duration = 0;
  /** Where the seconds begin that were played and are not said yet. */
  #from = 0;
  #finished = false;
  #captions = '';

  constructor(readonly say: Say) {}

  /** Call it whenever something of it has changed. */
  see(shown: Shown): void {
    if (shown.video !== this.#video) {
      this.#stop();
      this.#video = shown.video;
      this.#finished = false;
      this.#time = shown.time;
    }
    if (shown.video === '') return;
    this.#duration = shown.duration;
    const step = shown.time - this.#time;
    if (this.#playing && (step < 0 || step > STEP)) {
      this.close();
      this.#from = shown.time;
    }
    this.#time = shown.time;
    if (!shown.paused && !this.#playing) this.#start();
    if (this.#playing && shown.captions !== null && shown.captions !== this.#captions) {
      this.say('captions', { video: this.#video, lang: shown.captions });
    }
    this.#captions = this.#playing ? (shown.captions ?? '') : this.#captions;
    if (this.#playing && this.#time - this.#from >= SPAN) this.close();
    this.#end();
    if (shown.paused) this.#stop();
  }

  /** Says what was played until now, as when the page is left. */
  close(): void {
    if (!this.#playing) return;
    const end = this.#atEnd() ? Math.ceil(this.#duration) : Math.round(this.#time);
    const from = Math.round(this.#from);
    if (end <= from) return;
    this.say('watched', { video: this.#video, from, to: end });
    this.#from = end;
  }

  #start(): void {
    this.#playing = true;
    this.#from = this.#time;
    this.say('played', { video: this.#video, position: this.#place() });
  }

  #stop(): void {
    if (!this.#playing) return;
    this.close();
    this.#playing = false;
    if (!this.#finished) this.say('paused', { video: this.#video, position: this.#place() });
  }

  #end(): void {
    if (!this.#atEnd()) this.#finished = false;
    else if (this.#playing && !this.#finished) {
      this.close();
      this.#finished = true;
      this.say('finished', { video: this.#video });
    }
  }

  #atEnd(): boolean {
    return this.#duration > 0 && this.#time >= this.#duration - END;
  }

  #place(): number {
    return Math.round(this.#time * 10) / 10;
  }
}
