import type { Activity, Bin, Performance, Score, StudentRow } from '../session/answers';

/** One exercise of a student: `share` is null when nothing was handed in, which is not zero. */
export type Exercise = {
  activity: string;
  at: string;
  share: number | null;
  score: number | null;
  max: number | null;
  median: number | null;
  q1: number | null;
  q3: number | null;
};

/** A student's exercises in order of time: those of the course, and own ones the course lacks. */
export function exercises(figures: Performance): Exercise[] {
  const own = new Map((figures.scores ?? []).map((score) => [score.activity, score]));
  const course = figures.activities ?? [];
  const known = new Set(course.map((one) => one.activity));
  const rows = course.map((one) => exercise(one, own.get(one.activity)));
  for (const score of own.values()) {
    if (!known.has(score.activity)) rows.push(exercise(null, score));
  }
  return rows.sort((one, other) => one.at.localeCompare(other.at));
}

function exercise(course: Activity | null, score: Score | undefined): Exercise {
  return {
    activity: course?.activity ?? score?.activity ?? '',
    at: course?.at ?? score?.at ?? '',
    share: score?.share ?? null,
    score: score?.score ?? null,
    max: score?.max ?? null,
    median: course?.median ?? score?.median ?? null,
    q1: course?.q1 ?? null,
    q3: course?.q3 ?? null,
  };
}

/** Those at risk first, each group as the server ranked it. */
export function riskFirst(rows: readonly StudentRow[]): StudentRow[] {
  return [...rows].sort((one, other) => Number(other.at_risk) - Number(one.at_risk) || (one.rank ?? 1e9) - (other.rank ?? 1e9));
}

/** The fullest bin: where most students are. */
export function fullest(bins: readonly Bin[]): Bin | null {
  return bins.reduce<Bin | null>((most, bin) => (most === null || bin.count > most.count ? bin : most), null);
}

export function binOf(bins: readonly Bin[], share: number): number {
  return bins.findIndex((bin, index) => share >= bin.from && (share < bin.to || index === bins.length - 1));
}

/** A trend (share of the maximum, -1..1) in points. */
export function points(trend: number | null | undefined): number {
  return Math.round((trend ?? 0) * 100);
}
