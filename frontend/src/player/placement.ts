export type Span = { left: number; right: number };

const GAP = 8;
const NARROWEST = 0.38;

/**
 * Where captions may stand while the preview covers `preview` of a picture `width` px wide: beside
 * it where enough of the width is free, else above it.
 */
export function captionSpan(width: number, preview: Span | null): { side: 'full' | 'start' | 'end' | 'above'; space: number } {
  if (preview === null) return { side: 'full', space: width };
  const before = preview.left - GAP;
  const after = width - preview.right - GAP;
  if (Math.max(before, after) < width * NARROWEST) return { side: 'above', space: width };
  return before >= after ? { side: 'start', space: before } : { side: 'end', space: after };
}

/** The left edge of a box of `size` px centred on `x` and kept inside `width`. */
export function inside(x: number, size: number, width: number): number {
  return Math.max(0, Math.min(x - size / 2, width - size));
}
