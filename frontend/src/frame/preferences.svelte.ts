export type Theme = 'system' | 'light' | 'dark';
const KEY = 'atomic-guide.theme';
const KEYS = 'atomic-guide.player-keys';

/** Storage may be refused in a frame; a preference then lasts as long as the page. */
export function recall(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // refused: see above
  }
}

class Preferences {
  theme = $state<Theme>('system');
  /** Whether single letters act in the player. */
  letters = $state(true);

  load(): void {
    const kept = recall(KEY);
    if (kept === 'light' || kept === 'dark') this.choose(kept);
    this.letters = recall(KEYS) !== 'off';
  }

  choose(theme: Theme): void {
    this.theme = theme;
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    keep(KEY, theme);
  }

  useLetters(on: boolean): void {
    this.letters = on;
    keep(KEYS, on ? 'on' : 'off');
  }
}

export const preferences = new Preferences();
