import type { Shape } from '../frame/shapes';
import type { Notice } from '../session/answers';
import { isolate, t } from '../texts/language.svelte';

export type Tone = 'good' | 'bad' | 'warning' | 'accent';
export type Told = { tone: Tone; shape: Shape; text: string; more: string };

/** What a notification says, in the page's language; a reason is as the server wrote it. */
export function told(notice: Notice): Told {
  const title = isolate(String(notice.data.title ?? ''));
  switch (notice.kind) {
    case 'video.ready':
      return { tone: 'good', shape: 'good', text: t('notice.ready', { title }), more: '' };
    case 'video.failed':
      return { tone: 'bad', shape: 'bad', text: t('notice.failed', { title }), more: String(notice.data.reason ?? '') };
    case 'captions.missing':
      return { tone: 'warning', shape: 'warning', text: t('notice.captions', { title }), more: t('notice.captionsWhy') };
    case 'scores.posted': {
      const { activity } = notice.data;
      const text = typeof activity === 'string' ? t('notice.scoresOf', { activity: isolate(activity) }) : t('notice.scores');
      return { tone: 'accent', shape: 'up', text, more: '' };
    }
    default:
      return { tone: 'accent', shape: 'bell', text: t('notice.other'), more: '' };
  }
}
