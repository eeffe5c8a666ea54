/**
 * What the browser keeps for the page. A frame may be refused storage (blocked site data); then it
 * is kept in memory, which lasts as long as the page.
 */
export class Store {
  readonly #memory = new Map<string, string>();

  constructor(readonly browser: () => Storage) {}

  get(key: string): string | null {
    try {
      return this.browser().getItem(key);
    } catch {
      return this.#memory.get(key) ?? null;
    }
  }

  set(key: string, value: string): void {
    try {
      this.browser().setItem(key, value);
    } catch {
      this.#memory.set(key, value);
    }
  }

  remove(key: string): void {
    this.#memory.delete(key);
    try {
      this.browser().removeItem(key);
    } catch {
      // refused: the memory was all there was
    }
  }
}

/** For this tab, over reloads. */
export const tabStore = new Store(() => sessionStorage);
/** For this browser, over visits. */
export const ownStore = new Store(() => localStorage);
