/** Numbers to places on a chart. Pure, so that what a chart says can be tested. */
export type Point = { x: number; y: number };

/** Runs of neighbouring values; a missing value ends a run, so that no line crosses a gap. */
export function runs(values: readonly (number | null)[]): number[][] {
  const found: number[][] = [];
  let run: number[] = [];
  values.forEach((value, index) => {
    if (value !== null) run.push(index);
    else if (run.length > 0) {
      found.push(run);
      run = [];
    }
  });
  if (run.length > 0) found.push(run);
  return found;
}

export function path(points: readonly Point[]): string {
  return points.map((point, index) => `${index === 0 ? 'M' : 'L'}${point.x.toFixed(1)} ${point.y.toFixed(1)}`).join('');
}

/** A lower end of a 0..1 axis that leaves room below the least value: a multiple of 0.2. */
export function floorOf(values: readonly (number | null)[]): number {
  const least = Math.min(1, ...values.filter((value): value is number => value !== null));
  return Math.max(0, Math.min(0.8, Math.floor((least - 0.04) / 0.2 + 1e-9) * 0.2));
}

/** Round steps from 0 to at least `most`, at most five of them. */
export function steps(most: number): number[] {
  const size = [1, 2, 5].flatMap((one) => [one, one * 10, one * 100, one * 1000, one * 10_000]).sort((one, other) => one - other);
  const step = size.find((one) => most / one <= 4) ?? most;
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

/** Moves labels apart so that two neighbours are `gap` px from each other, as little as needed. */
export function spread(places: readonly number[], gap: number): number[] {
  const order = places.map((place, index) => ({ place, index })).sort((one, other) => one.place - other.place);
  for (let round = 0; round < 20; round += 1) {
    let moved = false;
    for (let at = 1; at < order.length; at += 1) {
      const above = order[at - 1];
      const below = order[at];
      if (!above || !below) continue;
      const overlap = gap - (below.place - above.place);
      if (overlap <= 0.01) continue;
      above.place -= overlap / 2;
      below.place += overlap / 2;
      moved = true;
    }
    if (!moved) break;
  }
  const result = [...places];
  for (const { place, index } of order) result[index] = place;
  return result;
}

/** "Exercise 1", "Exercise 2" share the word "Exercise" and number the axis; other names do not. */
export function axisOf(names: readonly string[]): { title: string | null; labels: string[] } {
  const parts = names.map((name) => /^(.*?)\s*(\d+)$/.exec(name));
  const first = parts[0]?.[1]?.trim() ?? '';
  if (first !== '' && parts.every((part) => part?.[1]?.trim() === first)) {
    return { title: first, labels: parts.map((part) => part?.[2] ?? '') };
  }
  return { title: null, labels: names.map((_, index) => String(index + 1)) };
}

/** Every how many-th label fits when each needs `space` px. */
export function every(count: number, width: number, space: number): number {
  return Math.max(1, Math.ceil((count * space) / Math.max(width, 1)));
}
