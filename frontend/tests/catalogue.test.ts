import { describe, expect, test } from 'vitest';
import { ar } from '../src/texts/ar';
import { type Key, nearest, phrase, type Plural, tag } from '../src/texts/catalogue';
import { en } from '../src/texts/en';

const keys = Object.keys(en) as Key[];
const forms = (text: string | Plural): string[] => (typeof text === 'string' ? [text] : Object.values(text));
const holes = (text: string): string[] => Array.from(text.matchAll(/\{(\w+)\}/g), (match) => match[1] as string);

describe('the Arabic catalogue', () => {
  test('has every text', () => {
    expect(Object.keys(ar).sort()).toEqual([...keys].sort());
  });

  test('names no value that the English text lacks', () => {
    const strangers = keys.flatMap((key) => {
      const known = new Set(['count', ...forms(en[key]).flatMap(holes)]);
      return forms(ar[key]).flatMap(holes).filter((hole) => !known.has(hole)).map((hole) => `${key}: ${hole}`);
    });
    expect(strangers).toEqual([]);
  });

  test('loses no value in its general forms', () => {
    const general = (text: string | Plural): string => holes(typeof text === 'string' ? text : text.other).sort().join();
    expect(keys.filter((key) => general(en[key]) !== general(ar[key]))).toEqual([]);
  });

  test('is translated', () => {
    const technical = new Set<Key>(['progress.spoken']);
    expect(keys.filter((key) => !technical.has(key) && JSON.stringify(en[key]) === JSON.stringify(ar[key]))).toEqual([]);
  });
});

describe('a phrase', () => {
  test('chooses the plural form of its language', () => {
    expect(phrase('en', 'lectures.count', { count: 1 })).toBe('1 lecture');
    expect(phrase('en', 'lectures.count', { count: 5 })).toBe('5 lectures');
    expect(phrase('ar', 'lectures.count', { count: 2 })).toBe('محاضرتان');
    expect(phrase('ar', 'lectures.count', { count: 5 })).toBe('5 محاضرات');
    expect(phrase('ar', 'lectures.count', { count: 11 })).toBe('11 محاضرة');
  });

  test('has a form of its own for nothing', () => {
    expect(phrase('en', 'link.kept', { count: 0 })).toBe('');
    expect(phrase('en', 'link.kept', { count: 1 })).toBe('Your message is kept.');
  });

  test('puts text in as it is, braces and all', () => {
    expect(phrase('en', 'room.typing', { count: 1, name: '{count} <b>' })).toBe('{count} <b> is writing…');
  });

  test('prints numbers as the language does', () => {
    expect(phrase('en', 'room.here', { count: 1200 })).toBe('1,200 here');
    expect(new Intl.NumberFormat(tag('ar')).format(38)).toBe('38');
  });
});

test('the nearest language we have', () => {
  expect(['ar-EG', 'AR', 'en_GB', 'de', '', null, 'constructor'].map(nearest)).toEqual(['ar', 'ar', 'en', 'en', 'en', 'en', 'en']);
});
