/** For each part of `step` seconds: how many saw a second of it, and how often one was played. */
export type Curve = { step: number; viewers: number[]; plays: number[] };
export type Part = { start: number; end: number; viewers: number; plays: number };

/** At most `most` parts of about the same length, with the means of what they span. */
export function parts(curve: Curve, most: number): Part[] {
  const size = Math.max(1, Math.ceil(curve.viewers.length / most));
  const found: Part[] = [];
  for (let at = 0; at < curve.viewers.length; at += size) {
    const viewers = curve.viewers.slice(at, at + size);
    found.push({
      start: at * curve.step,
      end: (at + viewers.length) * curve.step,
      viewers: mean(viewers),
      plays: mean(curve.plays.slice(at, at + size)),
    });
  }
  return found;
}

/** Where most watched: the first such place, in seconds, and how many. */
export function peak(curve: Curve): { time: number; viewers: number } {
  const viewers = Math.max(0, ...curve.viewers);
  return { time: Math.max(0, curve.viewers.indexOf(viewers)) * curve.step, viewers };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
