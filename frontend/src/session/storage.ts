/**
 * What the browser keeps for the page. A frame may be refused storage (private windows and blocked
 * third-party data do so); then a spare keeps it.
 */
type Shelf = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

export class Store {
  constructor(
    readonly browser: () => Shelf,
    readonly spare: Shelf,
  ) {}

  get(key: string): string | null {
    return this.#shelf().getItem(key);
  }

  /** A full storage drops the value: it holds preferences and places to go on from. */
  set(key: string, value: string): void {
    try {
      this.#shelf().setItem(key, value);
    } catch {
      this.spare.setItem(key, value);
    }
  }

  remove(key: string): void {
    this.#shelf().removeItem(key);
  }

  #shelf(): Shelf {
    try {
      return this.browser();
    } catch {
      return this.spare;
    }
  }
}

/** As long as the page lives. */
export function memory(): Shelf {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}

/** The state of the history entry survives a reload without any storage, and only this origin reads it. */
const entry: Shelf = {
  getItem: (key) => (history.state as Record<string, string> | null)?.[key] ?? null,
  setItem: (key, value) => history.replaceState({ ...(history.state as object | null), [key]: value }, ''),
  removeItem: (key) => history.replaceState({ ...(history.state as object | null), [key]: undefined }, ''),
};

/** For this tab, over reloads. */
export const tabStore = new Store(() => sessionStorage, entry);
/** For this browser, over visits. */
export const ownStore = new Store(() => localStorage, memory());
