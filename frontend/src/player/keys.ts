export type Action = 'toggle' | 'captions' | 'back' | 'forward' | 'left' | 'right' | 'mute' | 'full' | 'help';
type Stroke = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey'>;

const LETTERS: Record<string, Action> = {
  k: 'toggle',
  c: 'captions',
  j: 'back',
  l: 'forward',
  m: 'mute',
  f: 'full',
  '?': 'help',
};
const OTHERS: Record<string, Action> = { ArrowLeft: 'left', ArrowRight: 'right', ' ': 'toggle' };

/**
 * What a key does in the player, or null. Letters can be switched off (a dictating person "types"
 * them), and space and arrows belong to a button or list that has the focus.
 */
export function actionOf(stroke: Stroke, letters: boolean, onControl: boolean): Action | null {
  if (stroke.ctrlKey || stroke.metaKey || stroke.altKey) return null;
  const letter = letters ? LETTERS[stroke.key.toLowerCase()] : undefined;
  if (letter !== undefined) return letter;
  return onControl ? null : (OTHERS[stroke.key] ?? null);
}
