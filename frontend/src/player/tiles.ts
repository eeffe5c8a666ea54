import type { Preview } from '../session/answers';

/** A small picture as a part of its sheet: where that is, and the picture's size as shown, in px. */
export type Tile = { url: string; x: number; y: number; width: number; height: number; sheet: { width: number; height: number } };

/** Taller pictures are shown smaller: the bubble must fit over the bar of a small player. */
const TALLEST = 90;

/** The picture of what is shown at `time` seconds; undefined where the lecture has none. */
export function tileAt(preview: Preview | null | undefined, time: number): Tile | undefined {
  if (!preview || preview.count < 1 || preview.interval <= 0) return undefined;
  const number = Math.min(preview.count - 1, Math.max(0, Math.floor(time / preview.interval)));
  const each = preview.columns * preview.rows;
  const url = preview.sheets[Math.floor(number / each)];
  if (url === undefined) return undefined;
  const scale = Math.min(1, TALLEST / preview.height);
  const width = preview.width * scale;
  const height = preview.height * scale;
  const place = number % each;
  return {
    url,
    x: (place % preview.columns) * width,
    y: Math.floor(place / preview.columns) * height,
    width,
    height,
    sheet: { width: preview.columns * width, height: preview.rows * height },
  };
}

/** Whether the person has asked the browser to load as little as it can. */
export function savesData(): boolean {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;
}
