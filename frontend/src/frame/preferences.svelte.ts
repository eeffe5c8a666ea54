import { ownStore } from '../session/storage';

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'atomic-guide.theme';
const KEYS = 'atomic-guide.player-keys';

class Preferences {
  theme = $state<Theme>('system');
  /** Whether single letters act in the player. */
  letters = $state(true);

  load(): void {
    const kept = ownStore.get(KEY);
    if (kept === 'light' || kept === 'dark') this.choose(kept);
    this.letters = ownStore.get(KEYS) !== 'off';
  }

  choose(theme: Theme): void {
    this.theme = theme;
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    ownStore.set(KEY, theme);
  }

  useLetters(on: boolean): void {
    this.letters = on;
    ownStore.set(KEYS, on ? 'on' : 'off');
  }
}

export const preferences = new Preferences();
