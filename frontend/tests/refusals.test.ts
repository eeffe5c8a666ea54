import { afterEach, describe, expect, test } from 'vitest';
import { refusal, why } from '../src/room/refusals';
import { Refused, refusalOf } from '../src/session/refusal';
import { phrase } from '../src/texts/catalogue';
import { language } from '../src/texts/language.svelte';

const refused = (status: number, code: string, details = {}): Refused => new Refused(status, code, 'English', undefined, details);

describe('why something was refused', () => {
  afterEach(() => {
    language.code = 'en';
  });

  test('is said in the language of the page, whatever the server says', () => {
    language.code = 'ar';
    const all = [
      refused(403, 'FORBIDDEN'),
      refused(403, 'FORBIDDEN', { own_deletion_minutes: 15 }),
      refused(404, 'NOT_FOUND'),
      refused(409, 'CONFLICT'),
      refused(429, 'RATE_LIMITED'),
      refused(503, 'UNAVAILABLE'),
      refused(500, 'INTERNAL_ERROR'),
      new TypeError('Failed to fetch'),
    ].map(why);
    expect(new Set(all).size).toBe(all.length);
    for (const text of all) expect(text).not.toMatch(/[A-Za-z]{2}/);
  });

  test('names the minutes that the server allows, or that there are none', () => {
    expect(phrase('en', ...refusal('FORBIDDEN', { own_deletion_minutes: 15 }))).toContain('for 15 minutes');
    expect(phrase('ar', ...refusal('FORBIDDEN', { own_deletion_minutes: 2 }))).toContain('دقيقتين');
    expect(phrase('en', ...refusal('FORBIDDEN', { own_deletion_minutes: 0 }))).toContain('Only instructors');
  });

  test('comes with what the server adds', async () => {
    const error = { code: 'FORBIDDEN', message: 'no', details: { own_deletion_minutes: 5 } };
    const answer = new Response(JSON.stringify({ error }), { status: 403 });
    expect((await refusalOf(answer)).details).toEqual({ own_deletion_minutes: 5 });
    expect((await refusalOf(new Response('<html>', { status: 502 }))).details).toEqual({});
  });
});
