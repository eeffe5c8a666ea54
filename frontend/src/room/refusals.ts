import { Refused } from '../session/refusal';
import type { Key, Values } from '../texts/catalogue';
import { language } from '../texts/language.svelte';

const BY_CODE: Record<string, Key> = {
  MUTED: 'room.muted',
  ROOM_CLOSED: 'room.closed',
  FORBIDDEN: 'refused.role',
  NOT_FOUND: 'refused.gone',
  CONFLICT: 'refused.instructor',
  RATE_LIMITED: 'refused.often',
  UNAVAILABLE: 'refused.busy',
};

/** Which text of the catalogue says why; the server's own words are English and for programs. */
export function refusal(code: unknown, details: Record<string, unknown> = {}): [Key, Values] {
  if (code === 'FORBIDDEN' && typeof details.own_deletion_minutes === 'number') {
    return ['refused.late', { count: details.own_deletion_minutes }];
  }
  return [BY_CODE[String(code)] ?? 'refused.other', {}];
}

/** Why something was not done in the room, in the page's language. */
export function why(error: unknown): string {
  return error instanceof Refused ? language.t(...refusal(error.code, error.details)) : language.t('save.network');
}
