import type { Session } from '../session/session';
import { identity } from '../session/refusal';
import type { Lectures } from './lectures.svelte';
import { Speed } from './speed';
import { type Progress, TusUpload } from './tus';

/** One file on its way, as the page shows it. */
export class Upload {
  readonly key = identity();
  progress = $state.raw<Progress>({ phase: 'starting', sent: 0, id: null, reason: null, again: true });
  rate = $state(0);
  left = $state<number | null>(null);
  readonly #tus: TusUpload;
  readonly #speed = new Speed();

  constructor(
    session: Session,
    readonly file: File,
    readonly title: string,
  ) {
    this.#tus = new TusUpload(session, file, title, (progress) => this.#change(progress));
  }

  get share(): number {
    return this.file.size === 0 ? 0 : this.progress.sent / this.file.size;
  }

  run(): Promise<void> {
    this.#speed.reset();
    return this.#tus.run();
  }

  pause(): void {
    this.#tus.pause();
  }

  cancel(): Promise<void> {
    return this.#tus.cancel();
  }

  #change(progress: Progress): void {
    if (progress.phase === 'sending') this.#speed.add(Date.now(), progress.sent);
    else this.#speed.reset();
    this.progress = progress;
    this.rate = this.#speed.rate;
    this.left = this.#speed.secondsLeft(this.file.size - progress.sent);
  }
}

export class Uploads {
  list = $state.raw<Upload[]>([]);
  readonly active = $derived(this.list.some((one) => ['starting', 'sending', 'waiting'].includes(one.progress.phase)));
  readonly session: Session;
  readonly lectures: Lectures;

  constructor(session: Session, lectures: Lectures) {
    this.session = session;
    this.lectures = lectures;
  }

  add(file: File, title: string): void {
    const upload = new Upload(this.session, file, title);
    this.list = [upload, ...this.list];
    void this.go(upload);
  }

  async go(upload: Upload): Promise<void> {
    await upload.run();
    if (upload.progress.phase !== 'done') return;
    this.list = this.list.filter((one) => one !== upload);
    await this.lectures.load();
  }

  async cancel(upload: Upload): Promise<void> {
    this.list = this.list.filter((one) => one !== upload);
    await upload.cancel();
  }
}

/** A title from a file name: `lecture_07-coupled.mp4` is "lecture 07 coupled". */
export function titleOf(name: string): string {
  return name
    .replace(/\.[^.]+$/, '')
    .replace(/[_-]+/g, ' ')
    .trim();
}
