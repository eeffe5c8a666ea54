"""The formulas: from attempts to figures. Pure, on numpy arrays, linear in the number of attempts but for sorting.

- A share is score / maximum. What counts in an activity is the latest attempt; what was not handed in is a gap,
  not a zero.
- A student's mean is the mean of their shares. Mean, percentiles and histogram of the course are those of the
  students' means. Percentiles interpolate linearly between neighbours (definition 7 of Hyndman and Fan,
  "Sample Quantiles in Statistical Packages", 1996; numpy's default).
- Rank 1 is the best mean; equal means share a rank, and the next rank is left out (1, 2, 2, 4).
- A percentile rank is the share of the other students whose mean is lower, equal ones counted half, as a whole
  number from 0 to 100.
- Activities are in order of their date, which is the middle one of their hand-ins.
- The trend is the latest share minus the one `fall_exercises` hand-ins earlier (the first where there are fewer).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomic_guide.course.analytics.settings import RuleSettings

Doubles = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int32] | NDArray[np.int64]

WEEK = 7 * 86400.0
LAST = 6
"""Activities that a row of the table shows."""

PERCENTILES = (10, 25, 50, 75, 90)
BINS = 10
LEAST_FOR_FALL = 4
"""Hand-ins before a fall can raise a flag; with fewer, one good first week would."""

# Sums of the same shares in another order differ in the last bits; a difference below this is none.
_EQUAL = 1e-9


class Attempts(NamedTuple):
    """The latest attempt of each student in each activity, ordered by student, then by activity date.

    `student` and `activity` are places in lists of names, `share` is 0..1, `at` in seconds since the epoch. Every
    student and activity has at least one row.
    """

    student: Whole
    activity: Whole
    share: Doubles
    at: Doubles


class Students(NamedTuple):
    """Figures of each student, by place. `trend` is NaN after a single hand-in, `percentile` -1 without others."""

    mean: Doubles
    rank: Whole
    percentile: Whole
    trend: Doubles
    last: Doubles
    absent_weeks: Whole
    low: Whole
    low_of: Whole
    fell_since: Whole


class Activities(NamedTuple):
    """Figures of each activity, by place: hand-ins, and the quartiles of their shares."""

    at: Doubles
    handed_in: Whole
    q1: Doubles
    median: Doubles
    q3: Doubles


def latest(student: Whole, activity: Whole, share: Doubles, at: Doubles) -> tuple[Attempts, Doubles, Whole]:
    """Keep the last of the rows that stand together for a student and an activity; put activities in order of date.

    Returns the attempts, each activity's date, and the old place of each activity.
    """
    last = last_rows(student, activity)
    student, activity, share, at = student[last], activity[last], share[last], at[last]
    by_date = np.lexsort((at, activity))
    starts, counts = _groups(activity[by_date])
    dates = at[by_date][starts + (counts - 1) // 2]
    # A stable sort keeps activities of one date in their old order.
    old = np.argsort(dates, kind="stable")
    place = np.empty_like(old)
    place[old] = np.arange(len(old))
    order = np.lexsort((place[activity], student))
    return Attempts(student[order], place[activity][order], share[order], at[order]), dates[old], old


def last_rows(student: Places, activity: Places) -> Whole:
    """The places of the last of the rows that stand together for each student and activity."""
    changes = (student[1:] != student[:-1]) | (activity[1:] != activity[:-1])
    return np.flatnonzero(np.append(changes, [True] * (len(student) > 0)))


def activity_figures(attempts: Attempts, dates: Doubles) -> Activities:
    """The quartiles of each activity."""
    order = np.lexsort((attempts.share, attempts.activity))
    share = attempts.share[order]
    starts, counts = _groups(attempts.activity[order])
    q1, median, q3 = (_quantile(share, starts, counts, part) for part in (0.25, 0.5, 0.75))
    return Activities(dates, counts, q1, median, q3)


def student_figures(attempts: Attempts, dates: Doubles, rules: RuleSettings, now: float) -> Students:
    """Everything about each student that can be said in numbers."""
    starts, counts = _groups(attempts.student)
    ends = starts + counts - 1
    mean = np.add.reduceat(attempts.share, starts) / counts
    rank, percentile = ranks(mean)
    back = np.minimum(rules.fall_exercises, counts - 1)
    trend = np.where(counts > 1, attempts.share[ends] - attempts.share[ends - back], np.nan)
    fell = (counts >= LEAST_FOR_FALL) & (trend <= -rules.fall_share + _EQUAL)
    low, low_of = _low(attempts, ends, counts, rules)
    raised = low >= rules.low_count
    return Students(
        mean=mean,
        rank=rank,
        percentile=percentile,
        trend=trend,
        last=_last(attempts, len(counts), len(dates)),
        absent_weeks=_absent(attempts, dates, starts, rules, now),
        low=np.where(raised, low, 0),
        low_of=low_of,
        fell_since=np.where(fell, attempts.activity[ends - back], -1),
    )


def ranks(mean: Doubles) -> tuple[Whole, Whole]:
    """Competition ranks and percentile ranks of means."""
    rounded = rounded_means(mean)
    ordered = np.sort(rounded)
    below = np.searchsorted(ordered, rounded, "left")
    not_above = np.searchsorted(ordered, rounded, "right")
    others = len(mean) - 1
    rank = len(mean) - not_above + 1
    if others == 0:
        return rank, np.full(1, -1)
    percentile = np.floor(100 * (below + (not_above - below - 1) / 2) / others + 0.5)
    return rank, percentile.astype(np.int64)


def rounded_means(mean: Doubles) -> Doubles:
    """Means as they are compared: sums of the same shares in another order are equal."""
    return np.asarray(np.round(mean, 9))


def percentile_rank(below: int, equal: int, others: int) -> int | None:
    """The percentile rank of one student, of whose `others` so many are lower or equal; None without others."""
    return int(np.floor(100 * (below + equal / 2) / others + 0.5)) if others else None


def percentiles(mean: Doubles) -> list[float]:
    """The percentiles of the students' means, in the order of `PERCENTILES`."""
    return [float(value) for value in np.percentile(mean, PERCENTILES)]


def histogram(mean: Doubles) -> list[int]:
    """Students in each tenth of the share; the last tenth holds 1 too.

    Not `numpy.histogram`: its edge at 0.7 is 0.7000000000000001, so that 14 of 20 would fall below it.
    """
    return [int(count) for count in np.bincount(tenths(mean), minlength=BINS)]


def tenths(mean: Doubles) -> Whole:
    """The bin of each mean."""
    return np.minimum(np.floor(mean * BINS + _EQUAL), BINS - 1).astype(np.int64)


def means(student: Whole, activity: Whole, share: Doubles) -> tuple[Whole, Doubles]:
    """Students and their means, of rows that stand together by student and activity, the latest of each last."""
    last = last_rows(student, activity)
    starts, counts = _groups(student[last])
    return student[last][starts], np.add.reduceat(share[last], starts) / counts


def _groups(sorted_keys: Whole) -> tuple[Whole, Whole]:
    """Where each run of equal keys starts, and how long it is."""
    starts = np.flatnonzero(np.append([True], sorted_keys[1:] != sorted_keys[:-1]))
    return starts, np.diff(np.append(starts, len(sorted_keys)))


def _quantile(values: Doubles, starts: Whole, counts: Whole, part: float) -> Doubles:
    """A quantile of each group of sorted values."""
    place = (counts - 1) * part
    lower = np.floor(place).astype(np.int64)
    upper = np.minimum(lower + 1, counts - 1)
    low, high = values[starts + lower], values[starts + upper]
    return np.asarray(low + (high - low) * (place - lower))


def _low(attempts: Attempts, ends: Whole, counts: Whole, rules: RuleSettings) -> tuple[Whole, Whole]:
    """How many of each student's last shares are low, and among how many."""
    low = np.zeros(len(ends), np.int64)
    for back in range(rules.low_window):
        held = counts > back
        low += held & (attempts.share[np.where(held, ends - back, 0)] < rules.low_share - _EQUAL)
    return low, np.minimum(rules.low_window, counts)


def _last(attempts: Attempts, students: int, activities: int) -> Doubles:
    """The shares in the course's last activities, one row for each student, NaN where nothing was handed in."""
    shown = min(LAST, activities)
    table = np.full((students, shown), np.nan)
    recent = attempts.activity >= activities - shown
    table[attempts.student[recent], attempts.activity[recent] - (activities - shown)] = attempts.share[recent]
    return table


def _absent(attempts: Attempts, dates: Doubles, starts: Whole, rules: RuleSettings, now: float) -> Whole:
    """Weeks since each student's last hand-in, or 0 while they are fewer than the rule's or nothing was to be done.

    Something was to be done where the course has an activity of a later date in which the student has no score; so
    nobody is marked in the holidays or after the course.
    """
    last = np.maximum.reduceat(attempts.at, starts)
    later = len(dates) - np.searchsorted(dates, last, "right")
    own_later = np.add.reduceat((dates[attempts.activity] > last[attempts.student]).astype(np.int64), starts)
    weeks = np.floor((now - last) / WEEK).astype(np.int64)
    return np.where((weeks >= rules.absent_weeks) & (later > own_later), weeks, 0)
