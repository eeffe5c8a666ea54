/**
 * The core of tus 1.0 (creation, termination) for one file: PATCH in chunks, HEAD to learn where
 * to go on. The address is kept under the file's fingerprint, so that choosing the same file
 * another day goes on where it stopped.
 */
import { BOOKMARK } from '../session/bookmarks';
import { Refused } from '../session/refusal';
import type { Session } from '../session/session';
import { fingerprint, type Kept, keep, keptUploads } from './kept';

export type Phase = 'starting' | 'sending' | 'paused' | 'waiting' | 'done' | 'failed' | 'cancelled';
/** `again` says whether a failed upload may be tried again as it is. */
export type Progress = { phase: Phase; sent: number; id: string | null; reason: string | null; again: boolean };

const VERSION = '1.0.0';
export const TUS = { 'Tus-Resumable': VERSION };
const CHUNK = 8 * 1024 * 1024;
const STALL = 60_000;
const ATTEMPTS = 12;
const LONGEST_WAIT = 30_000;

type Answer = { status: number; offset: number | null; retryAfter: number; message: string };

export class TusUpload {
  progress: Progress = { phase: 'starting', sent: 0, id: null, reason: null, again: true };
  #address = '';
  #request: XMLHttpRequest | undefined;
  #round = 0;

  constructor(
    readonly session: Session,
    readonly file: File,
    readonly title: string,
    readonly change: (progress: Progress) => void,
  ) {}

  /** Sends until everything is there, it is paused, or it cannot go on. Never rejects. */
  async run(): Promise<void> {
    const round = (this.#round += 1);
    const current = (): boolean => round === this.#round;
    let failures = 0;
    this.#become({ phase: this.#address ? 'sending' : 'starting', reason: null });
    while (current()) {
      try {
        if (await this.#advance(current)) return;
        failures = 0;
      } catch (error) {
        if (!current()) return;
        failures += 1;
        const lasting = error instanceof Refused && ![401, 409, 423, 429, 503].includes(error.status);
        if (lasting || failures >= ATTEMPTS) return this.#fail(error);
        this.#become({ phase: 'waiting' });
        await this.#rest(failures, error, current);
      }
    }
  }

  pause(): void {
    this.#stop();
    this.#become({ phase: 'paused' });
  }

  /** Stops, and frees what the server has stored of it. */
  async cancel(): Promise<void> {
    this.#stop();
    this.#become({ phase: 'cancelled' });
    this.#keep(null);
    if (this.#address) {
      await this.session
        .send(this.#address, { method: 'DELETE', headers: TUS })
        .catch(() => undefined); // unfinished uploads expire on the server anyway
    }
  }

  /** One step: create, find the offset, or send a chunk. True when nothing is left to do. */
  async #advance(current: () => boolean): Promise<boolean> {
    if (!this.#address) {
      await this.#create();
      return false;
    }
    if (this.progress.phase !== 'sending') {
      const sent = await this.#offset();
      if (!current()) return true;
      this.#become({ phase: 'sending', sent });
    }
    const { sent } = this.progress;
    if (sent < this.file.size) {
      const answer = await this.#patch(sent);
      if (!current()) return true;
      this.#check(answer);
      this.#become({ sent: answer.offset ?? Math.min(sent + CHUNK, this.file.size) });
    }
    if (this.progress.sent < this.file.size) return false;
    this.#keep(null);
    this.#become({ phase: 'done' });
    return true;
  }

  async #create(): Promise<void> {
    const kept = keptUploads(this.session.course.id).get(fingerprint(this.file));
    if (kept) {
      this.#address = kept.address;
      this.#become({ id: kept.id });
      return;
    }
    const answer = await this.session.send('/api/video/upload', {
      method: 'POST',
      headers: {
        'Tus-Resumable': VERSION,
        'Upload-Length': String(this.file.size),
        'Upload-Metadata': `title ${base64(this.title)},filename ${base64(this.file.name)}`,
      },
    });
    const { id } = (await answer.json()) as { id: string };
    this.#address = new URL(answer.headers.get('Location') ?? `/api/video/upload/${id}`, location.href).pathname;
    this.#keep({ address: this.#address, id, title: this.title, name: this.file.name, size: this.file.size });
    this.#become({ id, phase: 'sending', sent: 0 });
  }

  async #offset(): Promise<number> {
    const sent = await offsetOf(this.session, this.#address);
    if (sent !== 'forgotten') return sent;
    this.#keep(null);
    this.#address = '';
    this.#become({ id: null, sent: 0 });
    throw new Refused(409, 'CONFLICT', 'begin anew');
  }

  #patch(offset: number): Promise<Answer> {
    return new Promise((done, fail) => {
      // fetch() cannot report how much of a body has left.
      const request = new XMLHttpRequest();
      this.#request = request;
      request.open('PATCH', this.#address);
      request.setRequestHeader('Authorization', `Bearer ${this.session.bearer}`);
      request.setRequestHeader('Tus-Resumable', VERSION);
      request.setRequestHeader('Upload-Offset', String(offset));
      request.setRequestHeader('Content-Type', 'application/offset+octet-stream');
      const sent = this.session.bookmarks.send();
      if (sent.header !== null) request.setRequestHeader(BOOKMARK, sent.header);
      let watch = setTimeout(() => request.abort(), STALL);
      request.upload.onprogress = (event) => {
        clearTimeout(watch);
        watch = setTimeout(() => request.abort(), STALL);
        this.#become({ sent: offset + event.loaded });
      };
      request.onload = () => {
        this.session.bookmarks.keep(sent, request.getResponseHeader(BOOKMARK));
        done(answerOf(request));
      };
      request.onerror = request.onabort = () => fail(new TypeError('network'));
      request.onloadend = () => clearTimeout(watch);
      request.send(this.file.slice(offset, offset + CHUNK));
    });
  }

  #check(answer: Answer): void {
    if (answer.status >= 200 && answer.status < 300) return;
    throw new Refused(answer.status, 'UPLOAD', answer.message, answer.retryAfter);
  }

  async #rest(failures: number, error: unknown, current: () => boolean): Promise<void> {
    if (error instanceof Refused && error.status === 401) await this.session.renew().catch(() => undefined);
    const asked = error instanceof Refused ? (error.retryAfter ?? 0) * 1000 : 0;
    const own = Math.min(500 * 2 ** failures, LONGEST_WAIT) * (0.5 + Math.random() / 2);
    const until = Date.now() + Math.max(asked, own);
    while (current() && Date.now() < until) await new Promise((done) => setTimeout(done, 200));
  }

  #fail(error: unknown): void {
    this.#stop();
    const refused = error instanceof Refused ? error : null;
    const again = refused === null || refused.status >= 500;
    if (!again) this.#keep(null);
    // The server has ended it by itself.
    if (refused !== null && [404, 410, 415].includes(refused.status)) this.#address = '';
    this.#become({ phase: 'failed', reason: refused?.message ?? null, again });
  }

  #stop(): void {
    this.#round += 1;
    this.#request?.abort();
  }

  #keep(upload: Kept | null): void {
    keep(this.session.course.id, fingerprint(this.file), upload);
  }

  #become(change: Partial<Progress>): void {
    this.progress = { ...this.progress, ...change };
    this.change(this.progress);
  }
}

/** How much of an upload the server has; `forgotten` where it has none of it any more. Rejects as `send` does. */
export async function offsetOf(session: Session, address: string): Promise<number | 'forgotten'> {
  try {
    const answer = await session.send(address, { method: 'HEAD', headers: TUS });
    return Number(answer.headers.get('Upload-Offset') ?? 0);
  } catch (error) {
    if (error instanceof Refused && [403, 404, 410].includes(error.status)) return 'forgotten';
    throw error;
  }
}

export function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function answerOf(request: XMLHttpRequest): Answer {
  const offset = Number.parseInt(request.getResponseHeader('Upload-Offset') ?? '', 10);
  let message = request.statusText;
  try {
    message = (JSON.parse(request.responseText) as { error: { message: string } }).error.message;
  } catch {
    // no body, or not ours
  }
  return {
    status: request.status,
    offset: Number.isFinite(offset) ? offset : null,
    retryAfter: Number.parseFloat(request.getResponseHeader('Retry-After') ?? '0') || 0,
    message,
  };
}
