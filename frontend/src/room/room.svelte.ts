import type { Frame, Message, Person } from '../session/answers';
import { identity } from '../session/refusal';
import type { Session } from '../session/session';
import { ownStore } from '../session/storage';
import { t } from '../texts/language.svelte';
import { Link, type State } from './link';
import { refusal } from './refusals';
import { Standing } from './standing.svelte';
import { Timeline, unread } from './timeline';

export type Pending = { id: string; content: string; written: number; sent: boolean; refusal: string | null };

const PAGE = 50;
const REPAIR_PAGE = 200;
const BATCH = 1000;
const TYPING_EVERY = 1000;
const TYPING_SHOWN = 4000;
const MOST_PENDING = 100;

/**
 * The live room. What is written is kept until the server has acknowledged it; others' messages
 * are shown at once when it is quiet, and in batches of one second when it is not, so that a
 * screen reader is not cut off by each new one.
 */
export class Room {
  timeline = $state.raw(new Timeline());
  pending = $state<Pending[]>([]);
  members = $state.raw<Person[]>([]);
  count = $state(0);
  typing = $state.raw<{ person: Person; until: number }[]>([]);
  link = $state.raw<State>({ name: 'connecting', lostAt: null });
  everLive = $state(false);
  loadingOlder = $state(false);
  complete = $state(false);
  loaded = $state(false);
  readonly standing = new Standing();
  /** Messages of others come late, because the server's processes do not hear one another. */
  late = $state(false);
  notice = $state<string | null>(null);
  /** Whether the newest message is in view; older ones are let go only then. */
  atEnd = true;
  /** The last seq that was read; newer ones come below the line "N new since you left". */
  mark = $state<number | null>(null);

  onVideo: (data: Record<string, unknown>) => void = () => undefined;
  onNotification: (data: Record<string, unknown>) => void = () => undefined;
  onLive: () => void = () => undefined;
  readonly #link: Link;
  #arrived: Message[] = [];
  #flushed = 0;
  #flushing: ReturnType<typeof setTimeout> | undefined;
  #typed = 0;
  #asked = 0;

  readonly session: Session;
  readonly newer = $derived.by(() =>
    this.mark === null ? 0 : unread(this.timeline.messages, this.mark, this.session.user.id),
  );
  readonly muted = $derived.by(() => this.standing.muteOf(this.session.user.id));
  readonly locked = $derived.by(() => this.muted !== undefined || (!this.standing.open && !this.teaches));

  constructor(session: Session) {
    this.session = session;
    this.#link = new Link({
      address: () => this.#address(),
      frame: (frame) => this.#hear(frame),
      state: (state) => this.#become(state),
    });
  }

  get teaches(): boolean {
    return this.session.user.role === 'instructor';
  }

  start(): void {
    this.#link.start();
    const kept = Number.parseInt(this.#stored() ?? '', 10);
    if (Number.isFinite(kept)) this.mark = kept;
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.mark = this.timeline.cursor;
      else this.#store();
    });
  }

  close(): void {
    this.#link.close();
  }

  retry(): void {
    this.#link.now();
  }

  /** Keeps the text and sends it now or after the connection is back. */
  write(content: string): boolean {
    if (this.pending.length >= MOST_PENDING) return false;
    this.pending.push({ id: identity(), content, written: Date.now(), sent: false, refusal: null });
    // Who writes has read what is there; what arrives while offline is still to be read.
    if (this.link.name === 'live') this.mark = null;
    this.#drain();
    return true;
  }

  again(id: string): void {
    const entry = this.pending.find((one) => one.id === id);
    if (!entry) return;
    entry.refusal = null;
    entry.sent = false;
    this.#drain();
  }

  discard(id: string): void {
    this.pending = this.pending.filter((entry) => entry.id !== id);
  }

  /** Opens the course in its own window, or says that the browser did not allow it. */
  leaveFrame(blocked: string): void {
    if (!this.session.open()) this.notice = blocked;
  }

  hint(): void {
    const now = Date.now();
    if (now - this.#typed < TYPING_EVERY) return;
    this.#typed = now;
    this.#link.send({ type: 'typing', data: {} });
  }

  older(): void {
    const before = this.timeline.oldest;
    if (this.loadingOlder || this.complete || before === undefined) return;
    this.loadingOlder = this.#link.send({ type: 'history', data: { before, limit: PAGE } });
  }

  async #address(): Promise<string> {
    const { ticket } = await this.session.call<{ ticket: string }>('/api/chat/ticket', { method: 'POST', json: {} });
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const after = this.loaded ? `&after=${this.timeline.cursor}&revision=${this.standing.revision}` : '';
    return `${scheme}://${location.host}/api/chat/ws?ticket=${encodeURIComponent(ticket)}${after}`;
  }

  #become(state: State): void {
    const wasLive = this.link.name === 'live';
    this.link = state;
    if (state.name === 'live') {
      this.everLive = true;
      this.onLive();
    } else if (wasLive) {
      this.mark ??= this.timeline.cursor;
      this.loadingOlder = false;
      this.typing = [];
      for (const entry of this.pending) entry.sent = false;
    }
  }

  #hear(frame: Frame): void {
    const data = frame.data ?? {};
    switch (frame.type) {
      case 'welcome':
        return this.#welcome(data);
      case 'message':
        return this.#arrive(data as Message);
      case 'ack':
        return this.#acknowledge(frame.id ?? String(data.id), Number(data.seq));
      case 'history':
        return this.#remember(data as { messages: Message[]; last_seq: number });
      case 'members':
        this.members = data.members as Person[];
        this.count = Number(data.count);
        return;
      case 'joined':
      case 'left':
        return this.#move(frame.type, data as Partial<Person> & { count?: number });
      case 'typing':
        return this.#types(data as Person);
      case 'deleted':
        this.standing.heard(data.revision);
        return this.gone(Number(data.seq));
      case 'behind':
        if (typeof data.late === 'boolean') this.late = data.late;
        else if (data.reload === true) this.#reload(Number(data.last_seq));
        else this.#repair();
        return;
      case 'room':
        return this.standing.room(data);
      case 'muted':
        return this.standing.muted(data);
      case 'notification':
        return this.onNotification(data);
      case 'video':
        return this.onVideo(data);
      case 'error':
        return this.#refuse(frame.id, t(...refusal(data.code)));
    }
  }

  #welcome(data: Record<string, unknown>): void {
    this.late = false;
    this.members = (data.members as Person[] | undefined) ?? [];
    this.count = Number(data.count ?? this.members.length);
    this.standing.begin(data);
    const last = Number(data.last_seq ?? 0);
    if (!this.loaded || data.resumed === false) this.#reload(last);
    this.#drain();
  }

  /** Begins anew with the newest page. */
  #reload(last: number): void {
    this.timeline = new Timeline([], last);
    this.complete = last === 0;
    this.loaded = last === 0;
    if (last > 0) this.#link.send({ type: 'history', data: { before: last + 1, limit: PAGE } });
  }

  /** A message was deleted. */
  gone(seq: number): void {
    this.#flush();
    this.timeline = this.timeline.remove(seq);
  }

  #drain(): void {
    for (const entry of this.pending) {
      if (entry.sent || entry.refusal !== null) continue;
      entry.sent = this.#link.send({ type: 'message', id: entry.id, data: { content: entry.content } });
    }
  }

  #arrive(message: Message): void {
    this.#arrived.push(message);
    this.typing = this.typing.filter((entry) => entry.person.id !== message.author.id);
    if (message.author.id === this.session.user.id) return this.#flush();
    const due = this.#flushed + BATCH - Date.now();
    if (due <= 0) this.#flush();
    else this.#flushing ??= setTimeout(() => this.#flush(), due);
  }

  #flush(): void {
    clearTimeout(this.#flushing);
    this.#flushing = undefined;
    this.#flushed = Date.now();
    const arrived = this.#arrived;
    this.#arrived = [];
    this.#take(arrived);
    if (this.timeline.gap) this.#repair();
    if (!document.hidden) this.#store();
  }

  #take(messages: Message[]): void {
    const added = this.timeline.add(messages);
    const kept = this.atEnd ? added.trimmed() : added;
    if (kept !== added) this.complete = false;
    this.timeline = kept;
    const ids = new Set(messages.map((message) => message.id));
    if (this.pending.some((entry) => ids.has(entry.id))) this.pending = this.pending.filter((entry) => !ids.has(entry.id));
  }

  #acknowledge(id: string, seq: number): void {
    const entry = this.pending.find((one) => one.id === id);
    if (!entry) return;
    const { user } = this.session;
    this.discard(id);
    const known = this.timeline.messages.some((message) => message.seq === seq);
    const created_at = new Date().toISOString();
    if (!known) this.timeline = this.timeline.add([{ id, seq, author: user, content: entry.content, created_at }]);
  }

  #remember(data: { messages: Message[]; last_seq: number }): void {
    const { messages, last_seq: last } = data;
    const top = this.timeline.oldest ?? Infinity;
    const older = !this.loaded || (this.loadingOlder && (messages.at(-1)?.seq ?? 0) < top);
    this.timeline = this.timeline.add(messages);
    this.loaded = true;
    if (older) {
      this.loadingOlder = false;
      if (messages.length < PAGE) this.complete = true;
      return;
    }
    // Deleted messages may be absent from the answer, so the cursor goes over their holes.
    const whole = messages.length < REPAIR_PAGE;
    this.timeline = this.timeline.at(Math.max(this.timeline.cursor, whole ? last : (messages.at(-1)?.seq ?? 0)));
    if (!whole) this.#repair();
  }

  /** Asks for what is missing after the cursor, at most once a second. */
  #repair(): void {
    const now = Date.now();
    if (now - this.#asked < BATCH) {
      setTimeout(() => this.timeline.gap && this.#repair(), BATCH);
      return;
    }
    this.#asked = now;
    this.#link.send({ type: 'history', data: { after: this.timeline.cursor, limit: REPAIR_PAGE } });
  }

  /** In a big room only the count is told, and instructors. */
  #move(kind: 'joined' | 'left', person: Partial<Person> & { count?: number }): void {
    this.count = person.count ?? this.count;
    if (!named(person)) return;
    const others = this.members.filter((member) => member.id !== person.id);
    this.members = kind === 'joined' ? [...others, person] : others;
  }

  #types(person: Person): void {
    if (person.id === this.session.user.id) return;
    const now = Date.now();
    const others = this.typing.filter((entry) => entry.person.id !== person.id && entry.until > now);
    this.typing = [...others, { person, until: now + TYPING_SHOWN }];
    setTimeout(() => (this.typing = this.typing.filter((entry) => entry.until > Date.now())), TYPING_SHOWN + 50);
  }

  #refuse(id: string | undefined, message: string): void {
    const entry = this.pending.find((one) => one.id === id);
    if (entry) entry.refusal = message;
    else this.notice = message;
  }

  get #key(): string {
    return `atomic-guide.read.${this.session.course.id}.${this.session.user.id}`;
  }

  #stored(): string | null {
    return ownStore.get(this.#key);
  }

  #store(): void {
    ownStore.set(this.#key, String(this.timeline.cursor));
  }
}

function named(person: Partial<Person>): person is Person {
  return person.id !== undefined;
}

