import { describe, expect, test } from 'vitest';
import { Standing } from '../src/room/standing.svelte';

const ada = { id: 'ada', name: 'Ada', until: null };
const live = { since: '2026-11-27T10:00:00Z', until: '2026-11-27T14:00:00Z', by: { id: 'fern', name: 'Dr. Fern' } };

describe('how the room is', () => {
  test('comes with the welcome, whatever was known before', () => {
    const standing = new Standing();
    standing.take({ open: false, live: null, mutes: [ada], revision: 9 });
    standing.begin({ open: true, live, mutes: [], revision: 4 });
    expect([standing.open, standing.live, standing.mutes, standing.revision]).toEqual([true, live, [], 4]);
  });

  test('follows the frames', () => {
    const standing = new Standing();
    standing.begin({ open: true, live: null, mutes: [], revision: 1 });
    standing.muted({ ...ada, muted: true, revision: 2 });
    standing.room({ open: false, live, revision: 3 });
    expect(standing.muteOf('ada')).toEqual(ada);
    expect([standing.open, standing.live, standing.revision]).toEqual([false, live, 3]);
    standing.muted({ ...ada, muted: false, revision: 4 });
    expect([standing.mutes, standing.revision]).toEqual([[], 4]);
  });

  test('is not put back by an answer that is older than a frame', () => {
    const standing = new Standing();
    standing.begin({ open: true, live: null, mutes: [], revision: 1 });
    standing.muted({ ...ada, muted: true, revision: 3 });
    standing.take({ open: false, live: null, mutes: [], revision: 2 });
    expect([standing.open, standing.mutes]).toEqual([true, [ada]]);
    standing.take({ open: false, live: null, mutes: [ada], revision: 4 });
    expect(standing.open).toBe(false);
  });

  test('counts a person once, with the newest end', () => {
    const standing = new Standing();
    standing.muted({ ...ada, muted: true, revision: 1 });
    standing.muted({ ...ada, until: '2026-11-27T12:00:00Z', muted: true, revision: 2 });
    expect(standing.mutes).toEqual([{ ...ada, until: '2026-11-27T12:00:00Z' }]);
  });
});
