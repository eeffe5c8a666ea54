/** Seconds as 0:00, 18:42 or 1:02:03. */
export function clockOf(seconds: number): string {
  const whole = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

/** Seconds from 18:42 or 1:02:03; undefined when the text is no time. */
export function secondsOf(text: string): number | undefined {
  const match = /^(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d)$/.exec(text.trim());
  if (!match) return undefined;
  const minutes = Number(match[2]);
  if (match[1] !== undefined && minutes > 59) return undefined;
  return Number(match[1] ?? 0) * 3600 + minutes * 60 + Number(match[3]);
}

export type Piece = { text: string; seconds?: number };

/**
 * Text cut at its time references. Times beyond `duration` stay text, so that "at 23:59" in a
 * message about a deadline does not become a dead link.
 */
export function pieces(text: string, duration: number): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(/(?<![\d:.])(?:\d{1,2}:)?\d{1,3}:[0-5]\d(?![\d:])/g)) {
    const seconds = secondsOf(match[0]);
    if (seconds === undefined || seconds > duration) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: match[0], seconds });
    end = match.index + match[0].length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}
