import type { Shape } from '../frame/shapes';
import type { Step, Video } from '../session/answers';
import type { Key } from '../texts/catalogue';
import { t } from '../texts/language.svelte';

const NAMES: Record<string, Key> = {
  received: 'step.received',
  checked: 'step.checked',
  poster: 'step.poster',
  captions: 'step.captions',
};
const ICONS: Record<string, Shape> = { done: 'good', running: 'working', failed: 'bad' };

/** A step's name; qualities such as 480p are names by themselves. */
export function stepName(step: Step, video: Video): string {
  const key = NAMES[step.name];
  if (key) return t(key);
  const playable = step.state === 'done' && video.status === 'playable';
  return playable ? t('step.playable', { quality: step.name }) : step.name;
}

export function stepIcon(state: string): Shape {
  return ICONS[state] ?? 'waiting';
}
