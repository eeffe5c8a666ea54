export type Cue = { start: number; end: number; text: string };

const TIMING = /^(?:(\d+):)?(\d{2}):(\d{2})[.,](\d{3})\s+-->\s+(?:(\d+):)?(\d{2}):(\d{2})[.,](\d{3})/;
const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', nbsp: ' ', lrm: '', rlm: '' };
const MOST = 20_000;

/** The cues of a WebVTT text in order of time; what is no cue (notes, styles, regions) is left out. */
export function cuesOf(text: string): Cue[] {
  const cues: Cue[] = [];
  const blocks = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n').split(/\n{2,}/);
  for (const block of blocks) {
    const lines = block.split('\n');
    const row = lines.findIndex((line) => line.includes('-->'));
    const match = row < 0 ? null : TIMING.exec((lines[row] ?? '').trim());
    if (!match || row > 1) continue;
    const body = plain(lines.slice(row + 1).join(' '));
    const start = seconds(match.slice(1, 5));
    const end = seconds(match.slice(5, 9));
    if (body !== '' && end > start) cues.push({ start, end, text: body });
    if (cues.length >= MOST) break;
  }
  return cues.sort((one, other) => one.start - other.start);
}

/** The index of the last cue that has begun, or -1; cues are in order of time. */
export function cueAt(cues: readonly Cue[], time: number): number {
  let low = 0;
  let high = cues.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((cues[middle]?.start ?? 0) <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** SubRip has the same blocks with commas in its times and no header. */
export function vttOf(text: string): string {
  if (/^\uFEFF?WEBVTT/.test(text)) return text;
  const dotted = text.replace(/^\uFEFF/, '').replace(/(\d{2}:\d{2}:\d{2}),(\d{3})/g, '$1.$2');
  return `WEBVTT\n\n${dotted}`;
}

function plain(text: string): string {
  return text
    .replace(/<[^>]*>/g, '')
    .replace(/&(\w+);/g, (whole, name: string) => ENTITIES[name] ?? whole)
    .replace(/\s+/g, ' ')
    .trim();
}

function seconds(parts: (string | undefined)[]): number {
  const [hours, minutes, whole, milli] = parts.map((part) => Number(part ?? 0));
  return (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (whole ?? 0) + (milli ?? 0) / 1000;
}
