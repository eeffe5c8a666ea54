import { untrack } from 'svelte';
import type Hls from 'hls.js';
import type { ErrorData } from 'hls.js';
import workerUrl from 'hls.js/dist/hls.worker.js?url';
import { ownStore } from '../session/storage';
import type { Video } from '../session/answers';

export type Level = { index: number; label: string };

const SAVE_EVERY = 5;
const RENEWALS = 4;
const RECOVERIES = 3;
export const RATES = [0.75, 1, 1.25, 1.5, 1.75, 2];

/**
 * What plays, and how. Signed addresses run out while somebody watches: a 403 fetches the lecture
 * again through `renew` and goes on at the same time.
 */
export class Playback {
  time = $state(0);
  duration = $state(0);
  buffered = $state(0);
  paused = $state(true);
  stalled = $state(false);
  muted = $state(false);
  rate = $state(1);
  levels = $state.raw<Level[]>([]);
  /** The chosen level, -1 for automatic. */
  level = $state(-1);
  playing = $state('');
  problem = $state(false);
  video = $state.raw<Video>();

  /** Where the person stopped in a lecture on any device, and when (ms). */
  elsewhere: (id: string) => { position: number; at: number } | undefined = () => undefined;
  renew: (id: string) => Promise<Video | undefined> = () => Promise.resolve(undefined);
  #element: HTMLVideoElement | undefined;
  #hls: Hls | undefined;
  #renewals = 0;
  #recoveries = 0;
  #saved = 0;
  #round = 0;
  #begun = false;

  attach = (element: HTMLVideoElement): (() => void) => {
    this.#element = element;
    // Attachments run again when what they read changes; a new source for each second would be one.
    untrack(() => {
      element.muted = this.muted;
      if (this.video) void this.#source(this.video, this.time || this.#kept(this.video));
    });
    return () => {
      untrack(() => this.#save());
      this.#detach();
      this.#element = undefined;
      this.paused = true;
    };
  };

  /** Shows a lecture. The same one again keeps playing, unless better qualities came and it stands. */
  show(video: Video): void {
    const old = this.video;
    this.video = video;
    if (old?.id === video.id) {
      const grown = (video.renditions?.length ?? 0) > (old.renditions?.length ?? 0);
      if (old.playback && !(grown && this.paused)) return;
      void this.#source(video, this.time);
      return;
    }
    this.#save();
    this.problem = false;
    this.#begun = false;
    this.#renewals = 0;
    this.time = this.#kept(video);
    this.duration = video.duration ?? 0;
    this.buffered = 0;
    void this.#source(video, this.time);
  }

  /** `elsewhere` has learnt more: goes to where the person stopped, unless watching has begun here. */
  goOn(): void {
    if (!this.video || this.#begun) return;
    const at = this.#kept(this.video);
    if (Math.abs(at - this.time) < 1) return;
    this.time = at;
    void this.#source(this.video, at);
  }

  toggle(): void {
    if (this.#element?.paused) void this.play();
    else this.#element?.pause();
  }

  async play(): Promise<void> {
    this.#begun = true;
    try {
      await this.#element?.play();
    } catch {
      this.paused = this.#element?.paused ?? true; // a click is wanted first, or a new source came between
    }
  }

  seek(time: number): void {
    this.#begun = true;
    const target = Math.min(Math.max(0, time), Math.max(0, this.duration - 0.1));
    this.time = target;
    if (this.#element) this.#element.currentTime = target;
  }

  speed(rate: number): void {
    this.rate = rate;
    if (this.#element) this.#element.playbackRate = rate;
  }

  mute(): void {
    this.muted = !this.muted;
    if (this.#element) this.#element.muted = this.muted;
  }

  quality(index: number): void {
    this.level = index;
    if (this.#hls) this.#hls.nextLevel = index;
  }

  again(): void {
    this.problem = false;
    this.#renewals = 0;
    this.#recoveries = 0;
    if (this.video) void this.#fresh(this.video.id);
  }

  /** Follows the element: call it for each of its events. */
  update = (): void => {
    const element = this.#element;
    if (!element) return;
    this.time = element.currentTime;
    if (Number.isFinite(element.duration) && element.duration > 0) this.duration = element.duration;
    this.paused = element.paused;
    this.stalled = !element.paused && element.readyState < 3;
    const ranges = element.buffered;
    for (let index = 0; index < ranges.length; index += 1) {
      if (ranges.start(index) <= this.time + 0.5) this.buffered = ranges.end(index);
    }
    if (Math.abs(this.time - this.#saved) > SAVE_EVERY) this.#save();
  };

  /** The element's own error, which only plays a part where the browser plays HLS itself. */
  failed = (): void => {
    if (!this.#hls && this.video && this.#element?.currentSrc) void this.#fresh(this.video.id);
  };

  async #source(video: Video, at: number): Promise<void> {
    const element = this.#element;
    if (!element || !video.playback) return;
    const round = (this.#round += 1);
    const { default: Engine } = await import('hls.js/light');
    if (round !== this.#round || element !== this.#element) return;
    // Looked at this late: whoever pressed Play while the engine came is not to press it again.
    const running = !element.paused;
    this.#detach();
    if (Engine.isSupported()) this.#stream(Engine, element, video, at);
    else {
      element.src = video.playback;
      element.currentTime = at;
    }
    element.playbackRate = this.rate;
    if (running) void this.play();
  }

  #stream(Engine: typeof Hls, element: HTMLVideoElement, video: Video, at: number): void {
    const hls = new Engine({ workerPath: workerUrl, startPosition: at, capLevelToPlayerSize: true, backBufferLength: 60 });
    this.#hls = hls;
    hls.on(Engine.Events.MANIFEST_PARSED, () => {
      this.levels = hls.levels.map((level, index) => ({ index, label: nameOf(video, level) }));
      if (this.level >= hls.levels.length) this.level = -1;
      if (this.level >= 0) hls.nextLevel = this.level;
    });
    hls.on(Engine.Events.LEVEL_SWITCHED, (_event, data) => {
      this.playing = this.levels[data.level]?.label ?? '';
    });
    hls.on(Engine.Events.ERROR, (_event, data) => this.#trouble(Engine, hls, data));
    hls.loadSource(video.playback ?? '');
    hls.attachMedia(element);
  }

  #trouble(Engine: typeof Hls, hls: Hls, data: ErrorData): void {
    if (data.response?.code === 403 && this.video) {
      void this.#fresh(this.video.id);
      return;
    }
    if (!data.fatal) return;
    this.#recoveries += 1;
    if (this.#recoveries > RECOVERIES) {
      this.problem = true;
      this.#detach();
    } else if (data.type === Engine.ErrorTypes.MEDIA_ERROR) {
      const running = this.#element?.paused === false;
      hls.recoverMediaError();
      if (running) void this.play();
    } else setTimeout(() => hls === this.#hls && hls.startLoad(), 1000 * 2 ** this.#recoveries);
  }

  async #fresh(id: string): Promise<void> {
    const at = this.time;
    this.#hls?.stopLoad();
    this.#renewals += 1;
    if (this.#renewals > RENEWALS) {
      this.problem = true;
      return;
    }
    try {
      const video = await this.renew(id);
      if (!video || this.video?.id !== id) return;
      this.video = video;
      await this.#source(video, at);
      setTimeout(() => (this.#renewals = 0), 60_000);
    } catch {
      this.problem = true;
    }
  }

  #detach(): void {
    this.#hls?.destroy();
    this.#hls = undefined;
  }

  #kept(video: Video): number {
    const [kept = 0, when = 0] = (ownStore.get(`atomic-guide.at.${video.id}`) ?? '').split(' ').map(Number);
    const other = this.elsewhere(video.id);
    const at = other && other.at > when ? other.position : kept;
    return at > 10 && at < (video.duration ?? 0) - 15 ? at : 0;
  }

  #save(): void {
    if (!this.video || this.time === 0) return;
    this.#saved = this.time;
    ownStore.set(`atomic-guide.at.${this.video.id}`, `${Math.floor(this.time)} ${Date.now()}`);
  }
}

/** By its rate: two qualities may be of one height. */
function nameOf(video: Video, level: { height: number; bitrate: number }): string {
  return video.renditions?.find((one) => one.bandwidth === level.bitrate)?.name ?? `${level.height}p`;
}
