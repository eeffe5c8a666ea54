import type { Session } from '../session/session';
import { identity } from '../session/refusal';
import { fingerprint, type Kept, keep, keptUploads } from './kept';
import type { Lectures } from './lectures.svelte';
import { Speed } from './speed';
import { type Progress, TUS, TusUpload, offsetOf } from './tus';

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

/** One that began on another day, or before a reload: `sent` bytes of it are on the server. */
export type Interrupted = Kept & { print: string; sent: number };

export class Uploads {
  list = $state.raw<Upload[]>([]);
  interrupted = $state.raw<Interrupted[]>([]);
  readonly active = $derived(this.list.some((one) => ['starting', 'sending', 'waiting'].includes(one.progress.phase)));
  readonly session: Session;
  readonly lectures: Lectures;

  constructor(session: Session, lectures: Lectures) {
    this.session = session;
    this.lectures = lectures;
  }

  /** Asks the server how much it has of those that were interrupted; what it has forgotten is forgotten here, too. */
  async look(): Promise<void> {
    const course = this.session.course.id;
    const found: Interrupted[] = [];
    for (const [print, kept] of keptUploads(course)) {
      const sent = await offsetOf(this.session, kept.address).catch(() => null);
      if (sent === 'forgotten' || (sent ?? 0) >= kept.size) keep(course, print, null);
      else if (sent !== null) found.push({ ...kept, print, sent });
    }
    const going = new Set(this.list.map((one) => fingerprint(one.file)));
    this.interrupted = found.filter((one) => !going.has(one.print));
  }

  /** Frees what the server has of it. */
  async discard(upload: Interrupted): Promise<void> {
    this.interrupted = this.interrupted.filter((one) => one !== upload);
    keep(this.session.course.id, upload.print, null);
    await this.session.send(upload.address, { method: 'DELETE', headers: TUS }).catch(() => undefined); // it expires anyway
    await this.lectures.load(true);
  }

  /** Sends a file; one whose upload was interrupted goes on, under the title that it has. */
  add(file: File, title: string): void {
    const print = fingerprint(file);
    const known = keptUploads(this.session.course.id).get(print);
    this.interrupted = this.interrupted.filter((one) => one.print !== print);
    const upload = new Upload(this.session, file, known?.title ?? title);
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
