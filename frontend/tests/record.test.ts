import { describe, expect, it } from 'vitest';
import { deed, joined, objects, outcome, type Act } from '../src/ops/record/acts';
import { chosen, plain, sections, type Setting } from '../src/ops/record/settings';

const act = (number: number, changes: Partial<Act> = {}): Act => ({
  number,
  at: '2026-11-23T12:00:00.000Z',
  operator: 'p-1',
  who: 'Ada Lovelace',
  role: 'operator',
  source: 'oidc',
  method: 'POST',
  action: 'approve_event',
  objects: {},
  why: '',
  status: 200,
  ...changes,
});

const setting = (key: string, changes: Partial<Setting> = {}): Setting => ({
  key,
  variable: `ATOMIC_GUIDE_${key.replaceAll('.', '_').toUpperCase()}`,
  value: 1,
  default: 1,
  unit: 's',
  from: 'default',
  reason: 'How long it lasts.',
  ...changes,
});

describe('acts of operators', () => {
  it('are read as words', () => {
    expect(deed(act(1))).toBe('Approve event');
    expect(objects(act(1, { objects: { id: 'ev-1', dry_run: 'true' } }))).toBe('ev-1, dry run true');
  });

  it.each([
    [null, 'No answer'],
    [201, 'Done'],
    [403, 'Not allowed'],
    [409, 'Refused (409)'],
    [503, 'Failed (503)'],
  ])('with the status %s are told as %s', (status, text) => {
    expect(outcome(act(1, { status })).text).toBe(text);
  });

  it('are shown once when the newest page moves over older ones', () => {
    const numbers = joined([act(9), act(8), act(7)], [act(8), act(7), act(6), act(5)]).map((one) => one.number);
    expect(numbers).toEqual([9, 8, 7, 6, 5]);
  });
});

describe('settings', () => {
  it.each([
    [null, 'none'],
    [[], 'none'],
    ['', 'empty'],
    [true, 'on'],
    [0.5, '0.5'],
    [['a', 'b'], 'a, b'],
    [[{ name: 'eu' }], '[{"name":"eu"}]'],
  ])('%j is shown as %s', (value, text) => {
    expect(plain(value)).toBe(text);
  });

  it('are found by every word, in keys and reasons', () => {
    const all = [setting('sessions.code_seconds'), setting('server.port', { reason: 'Where it listens.' })];
    expect(chosen(all, 'SECONDS lasts', false).map((one) => one.key)).toEqual(['sessions.code_seconds']);
    expect(chosen(all, 'listens', false).map((one) => one.key)).toEqual(['server.port']);
  });

  it('that differ from their default can be chosen', () => {
    const all = [setting('a.b'), setting('a.c', { value: 2, from: 'environment X' })];
    expect(chosen(all, '', true).map((one) => one.key)).toEqual(['a.c']);
  });

  it('stand by section', () => {
    const found = sections([setting('data'), setting('a.b'), setting('a.c'), setting('a.b.d')]);
    expect(found.map((one) => [one.name, one.settings.length])).toEqual([['general', 1], ['a', 3]]);
  });
});
