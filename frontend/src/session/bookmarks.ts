/**
 * What the page has seen of the server's databases, so that no answer shows less than an earlier one.
 *
 * Each answer brings a bookmark, which stands for those that its request had sent. Answers to calls that were
 * under way together bring one each, whatever their order; the next call sends them all, and gets one back.
 */
export const BOOKMARK = 'Atomic-Guide-Bookmark';

const CURRENT = 'first-primary';
/** As many as the server joins; with more, it is asked for everything that is committed. */
const MOST = 8;

export type Sent = { readonly header: string | null; readonly held: readonly string[] };

export class Bookmarks {
  #held = new Set<string>();

  /** For one request. `current`: show all that is committed, because an event has told of it. */
  send(current = false): Sent {
    const held = [...this.#held];
    const all = current || held.length > MOST;
    return { header: all ? CURRENT : held.join(', ') || null, held };
  }

  /** From its answer; a refusal brings none, and nothing changes. */
  keep(sent: Sent, given: string | null): void {
    if (!given) return;
    for (const one of sent.held) this.#held.delete(one);
    this.#held.add(given);
  }
}
