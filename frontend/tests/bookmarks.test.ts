import { describe, expect, test } from 'vitest';
import { Bookmarks } from '../src/session/bookmarks';

describe('bookmarks', () => {
  test('an answer stands for what its request had sent', () => {
    const marks = new Bookmarks();
    const first = marks.send();
    expect(first.header).toBeNull();
    marks.keep(first, 'a');
    const second = marks.send();
    expect(second.header).toBe('a');
    marks.keep(second, 'b');
    expect(marks.send().header).toBe('b');
  });

  test('a late answer does not put a newer one out of mind', () => {
    const marks = new Bookmarks();
    marks.keep(marks.send(), 'start');
    const slow = marks.send();
    const quick = marks.send();
    marks.keep(quick, 'of the write');
    marks.keep(slow, 'from before it');
    const next = marks.send();
    expect(next.header).toBe('of the write, from before it');
    marks.keep(next, 'joined');
    expect(marks.send().header).toBe('joined');
  });

  test('a refusal changes nothing', () => {
    const marks = new Bookmarks();
    marks.keep(marks.send(), 'a');
    marks.keep(marks.send(), null);
    expect(marks.send().header).toBe('a');
  });

  test('what an event told of is asked for as it is now, and so is what too many calls have seen', () => {
    const marks = new Bookmarks();
    marks.keep(marks.send(), 'a');
    const told = marks.send(true);
    expect(told.header).toBe('first-primary');
    marks.keep(told, 'b');
    expect(marks.send().header).toBe('b');
    const many = Array.from({ length: 9 }, () => marks.send());
    many.forEach((sent, number) => marks.keep(sent, `m${number}`));
    const all = marks.send();
    expect(all.header).toBe('first-primary');
    marks.keep(all, 'one');
    expect(marks.send().header).toBe('one');
  });
});
