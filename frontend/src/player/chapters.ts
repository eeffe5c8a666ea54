import type { Chapter } from '../session/answers';
import { clockOf, secondsOf } from './times';

export type Segment = { number: number; title: string; start: number; end: number };

/** Chapters as stretches that cover the lecture; without chapters one stretch without a title. */
export function segments(chapters: readonly Chapter[], duration: number): Segment[] {
  const sorted = chapters.filter((one) => one.start < duration).sort((one, other) => one.start - other.start);
  const all = (sorted[0]?.start ?? 0) > 0 || sorted.length === 0 ? [{ start: 0, title: '' }, ...sorted] : sorted;
  const shift = all.length - sorted.length;
  return all.map((one, index) => ({
    number: index + 1 - shift,
    title: one.title,
    start: one.start,
    end: all[index + 1]?.start ?? duration,
  }));
}

export function segmentAt(list: readonly Segment[], time: number): Segment | undefined {
  return list.findLast((one) => one.start <= time) ?? list[0];
}

export function label(segment: Segment | undefined): string {
  return segment === undefined || segment.title === '' ? '' : `${segment.number} ${segment.title}`;
}

/** How much of a stretch lies before `time`, 0..1. */
export function filled(segment: Segment, time: number): number {
  const length = segment.end - segment.start;
  return length <= 0 ? 0 : Math.min(1, Math.max(0, (time - segment.start) / length));
}

export type ChapterLine = { line: number; text: string };

/** Lines such as "16:58 Damping". Lines that are none come back with their number. */
export function parseChapters(text: string, duration: number): { chapters: Chapter[]; wrong: ChapterLine[] } {
  const chapters: Chapter[] = [];
  const wrong: ChapterLine[] = [];
  text.split('\n').forEach((raw, index) => {
    const line = raw.trim();
    if (line === '') return;
    const match = /^(\S+)\s+(.+)$/.exec(line);
    const start = match?.[1] === undefined ? undefined : secondsOf(match[1]);
    const known = chapters.some((one) => one.start === start);
    if (match?.[2] === undefined || start === undefined || known || (duration > 0 && start >= duration)) {
      wrong.push({ line: index + 1, text: line });
    } else chapters.push({ start, title: match[2].trim() });
  });
  return { chapters: chapters.sort((one, other) => one.start - other.start), wrong };
}

export function printChapters(chapters: readonly Chapter[]): string {
  return chapters.map((one) => `${clockOf(one.start)} ${one.title}`).join('\n');
}
