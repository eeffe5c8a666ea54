import { describe, expect, test } from 'vitest';
import { Timeline, unread } from '../src/room/timeline';
import type { Message } from '../src/session/answers';

const message = (seq: number, author = 'u1', content = `message ${seq}`): Message => ({
  id: `m${seq}`,
  seq,
  author: { id: author, name: author },
  content,
  created_at: '2026-11-20T10:00:00.000Z',
});
const seqs = (timeline: Timeline): number[] => timeline.messages.map((one) => one.seq);

describe('merging by seq', () => {
  test('keeps every message once and in order, whatever the order of arrival', () => {
    const timeline = new Timeline().add([message(3), message(1)]).add([message(2), message(3)]);
    expect(seqs(timeline)).toEqual([1, 2, 3]);
  });

  test('resumes after the last message without a gap before it, not after the newest', () => {
    const timeline = new Timeline([], 7).add([message(8), message(10)]);
    expect(timeline.cursor).toBe(8);
    expect(timeline.gap).toBe(true);
    expect(timeline.add([message(9)]).cursor).toBe(10);
  });

  test('an acknowledged own message does not hide others that are still on their way', () => {
    const acknowledged = new Timeline([], 4).add([message(7, 'me')]);
    expect(acknowledged.cursor).toBe(4);
  });

  test('older history does not move the cursor', () => {
    const timeline = new Timeline([], 90).add([message(88), message(89), message(90)]).add([message(40), message(41)]);
    expect(timeline.cursor).toBe(90);
    expect(timeline.oldest).toBe(40);
  });

  test('moves over numbers that the server says are gone', () => {
    const timeline = new Timeline([], 4).add([message(6)]).at(5);
    expect(timeline.cursor).toBe(6);
  });

  test('a removed message stays removed when it arrives again', () => {
    const timeline = new Timeline().add([message(1)]).remove(1).add([message(1)]);
    expect(timeline.messages[0]?.deleted).toBe(true);
  });

  test('drops the oldest beyond what is kept', () => {
    const many = Array.from({ length: 12 }, (_, index) => message(index + 1));
    expect(seqs(new Timeline().add(many).trimmed(10))[0]).toBe(3);
  });
});

test('unread counts others only, after the mark', () => {
  const list = [message(1), message(2, 'me'), message(3), message(4)];
  expect(unread(list, 1, 'me')).toBe(2);
  expect(unread(list, 4, 'me')).toBe(0);
});
