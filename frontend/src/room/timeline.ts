import type { Message } from '../session/answers';

/** Kept messages at most; older ones are dropped from the page and loaded again on scrolling up. */
export const KEPT = 800;

/**
 * The room's messages in `seq` order, each once.
 *
 * `cursor` is the highest seq up to which nothing is missing. It moves only along unbroken runs:
 * an acknowledgement of an own message may overtake others' messages, and resuming after it
 * would lose them.
 */
export class Timeline {
  readonly messages: readonly Message[];
  readonly cursor: number;

  constructor(messages: readonly Message[] = [], cursor = 0) {
    this.messages = messages;
    this.cursor = cursor;
  }

  get oldest(): number | undefined {
    return this.messages[0]?.seq;
  }

  get newest(): number {
    return this.messages.at(-1)?.seq ?? this.cursor;
  }

  /** True when messages after the cursor are known to be missing. */
  get gap(): boolean {
    return this.newest > this.cursor;
  }

  /** `from` starts the count anew, for instance at the `last_seq` of a first connection. */
  at(from: number): Timeline {
    return new Timeline(this.messages, advance(this.messages, from));
  }

  add(incoming: readonly Message[]): Timeline {
    if (incoming.length === 0) return this;
    const bySeq = new Map(this.messages.map((message) => [message.seq, message]));
    for (const message of incoming) {
      const known = bySeq.get(message.seq);
      bySeq.set(message.seq, known?.deleted ? { ...message, deleted: true } : message);
    }
    const merged = [...bySeq.values()].sort((one, other) => one.seq - other.seq);
    return new Timeline(merged, advance(merged, this.cursor));
  }

  remove(seq: number): Timeline {
    const messages = this.messages.map((message) =>
      message.seq === seq ? { ...message, author: { id: '', name: '' }, content: '', deleted: true } : message,
    );
    return new Timeline(messages, this.cursor);
  }

  /** Without the oldest messages beyond `kept`. */
  trimmed(kept = KEPT): Timeline {
    return this.messages.length <= kept ? this : new Timeline(this.messages.slice(-kept), this.cursor);
  }
}

function advance(messages: readonly Message[], from: number): number {
  let cursor = from;
  for (const message of messages) {
    if (message.seq === cursor + 1) cursor += 1;
  }
  return cursor;
}

/** How many of the others' messages are newer than `seq`. */
export function unread(messages: readonly Message[], seq: number, me: string): number {
  return messages.filter((message) => message.seq > seq && message.author.id !== me && !message.deleted).length;
}
