"""The report of a course and what of it each may see: shapes, and pure functions from figures to them."""

from __future__ import annotations

from collections.abc import Container, Sequence

import msgspec
import numpy as np

from atomic_guide.clock import iso
from atomic_guide.course.analytics import figures
from atomic_guide.course.analytics.attempts import Gathered
from atomic_guide.course.analytics.settings import RuleSettings
from atomic_guide.engines.data.database import Row

ACTIVITIES_SHOWN = 200
"""Activities in an answer, the newest; three a week over a year."""


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles of the students' means, 0..1."""

    p10: float
    p25: float
    p50: float
    p75: float
    p90: float


class Bin(msgspec.Struct, frozen=True, rename={"least": "from", "most": "to"}):
    """Students whose mean is at least `from` and below `to`; the last bin holds 1 too."""

    least: float
    most: float
    count: int


class Curve(msgspec.Struct, frozen=True):
    """The curve: students with a score, their means, and how many learners there are."""

    count: int
    mean: float | None
    percentiles: Percentiles | None
    histogram: list[Bin]
    members: int


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a student is marked, for a page in another language: `rule` is absent, low or fall."""

    rule: str
    weeks: int | None = None
    low: int | None = None
    of: int | None = None
    share: float | None = None
    points: int | None = None
    since: str | None = None


class Student(msgspec.Struct, frozen=True):
    """A student's row. Shares are 0..1, `trend` is a change of share, `last` the course's last six activities."""

    user: str
    name: str | None
    mean: float
    rank: int | None
    percentile: int | None
    trend: float | None
    at_risk: bool
    why: list[str]
    reasons: list[Reason]
    last: list[float | None]


class Activity(msgspec.Struct, frozen=True):
    """An activity's hand-ins and the quartiles of their shares; None where they are too few to be shown."""

    activity: str
    at: str
    count: int | None
    median: float | None
    q1: float | None
    q3: float | None


class OwnScore(msgspec.Struct, frozen=True):
    """What a student got in an activity; `score`, `max` and `share` are None where nothing was handed in."""

    activity: str
    score: float | None
    max: float | None
    share: float | None
    at: str
    median: float | None


class Report(msgspec.Struct, frozen=True):
    """What the performance page shows."""

    course: Curve | None
    students: list[Student]
    activities: list[Activity] | None
    rules: RuleSettings
    updated_at: str | None
    scores: list[OwnScore] | None = None


def make_report(
    gathered: Gathered, names: dict[str, str], rules: RuleSettings, now: float, updated_at: str | None
) -> Report:
    """The instructor's report; `names` are the learners' who have opened the course, by user."""
    columns, users = gathered.columns(), gathered.users
    members = len(names.keys() | set(users))
    if not users:
        return Report(Curve(0, None, None, [], members), [], [], rules, updated_at)
    kept, dates, order = figures.latest(*columns)
    titles = [gathered.titles[place] for place in order]
    found = figures.student_figures(kept, dates, rules, now)
    activities = _activities(figures.activity_figures(kept, dates), titles)
    students = _students(found, users, names, titles, rules.low_share)
    curve = make_curve(
        len(users), float(found.mean.mean()), figures.percentiles(found.mean), figures.histogram(found.mean)
    )
    course = msgspec.structs.replace(curve, members=members)
    return Report(course, students, activities[-ACTIVITIES_SHOWN:], rules, updated_at)


def own_view(report: Report, own: Student | None, rows: Sequence[Row], threshold: int) -> Report:
    """What one student may see of a report; `rows` are their attempts in order of activity and time."""
    students = [own] if own else []
    latest = {row["activity"]: row for row in rows}
    others = (report.course.count if report.course else 0) - len(students)
    if others < threshold:
        hidden = [msgspec.structs.replace(student, rank=None, percentile=None) for student in students]
        scores = sorted((_own_score(row, None) for row in latest.values()), key=lambda score: score.at)
        return msgspec.structs.replace(report, course=None, students=hidden, activities=None, scores=scores)
    activities = [_shielded(activity, latest.keys(), threshold) for activity in report.activities or []]
    activities = [activity for activity in activities if activity.count is not None or activity.activity in latest]
    medians = {activity.activity: activity for activity in activities}
    scores = [_own_score(row, medians.get(title)) for title, row in latest.items()]
    scores += [_gap(activity) for title, activity in medians.items() if title not in latest]
    dates = {title: activity.at for title, activity in medians.items()}
    scores.sort(key=lambda score: dates.get(score.activity, score.at))
    course = report.course and _rounded(report.course)
    return msgspec.structs.replace(report, course=course, students=students, activities=activities, scores=scores)


def make_curve(means: int, mean: float, percentiles: Sequence[float], tenths: Sequence[int]) -> Curve:
    """The curve of so many means, given their mean, percentiles and numbers by tenth."""
    bins = [Bin(number / figures.BINS, (number + 1) / figures.BINS, count) for number, count in enumerate(tenths)]
    return Curve(means, mean, Percentiles(*percentiles), bins, means)


def _students(
    found: figures.Students, users: list[str], names: dict[str, str], titles: list[str], low_share: float
) -> list[Student]:
    rows = []
    for place, user in enumerate(users):
        reasons = _reasons(found, place, titles, low_share)
        trend, percentile = float(found.trend[place]), int(found.percentile[place])
        rows.append(
            Student(
                user=user,
                name=names.get(user),
                mean=float(found.mean[place]),
                rank=int(found.rank[place]),
                percentile=percentile if percentile >= 0 else None,
                trend=_or_none(trend),
                at_risk=bool(reasons),
                why=[_sentence(reason) for reason in reasons],
                reasons=reasons,
                last=[_or_none(share) for share in found.last[place].tolist()],
            )
        )
    return sorted(rows, key=lambda row: (row.rank, row.user))


def _reasons(found: figures.Students, place: int, titles: list[str], low_share: float) -> list[Reason]:
    reasons = []
    if weeks := int(found.absent_weeks[place]):
        reasons.append(Reason("absent", weeks=weeks))
    if low := int(found.low[place]):
        reasons.append(Reason("low", low=low, of=int(found.low_of[place]), share=low_share))
    since = int(found.fell_since[place])
    if since >= 0:
        reasons.append(Reason("fall", points=round(-100 * float(found.trend[place])), since=titles[since]))
    return reasons


def _sentence(reason: Reason) -> str:
    """A reason in plain words."""
    if reason.rule == "absent":
        return f"no hand-in for {reason.weeks} weeks" if reason.weeks != 1 else "no hand-in for a week"
    if reason.rule == "low":
        share = f"{100 * (reason.share or 0):.6g}%"
        return f"below {share} in {'each' if reason.low == reason.of else reason.low} of the last {reason.of}"
    return f"fell {reason.points} points since {reason.since}"


def _activities(found: figures.Activities, titles: list[str]) -> list[Activity]:
    columns = (column.tolist() for column in (found.at, found.handed_in, found.median, found.q1, found.q3))
    return [
        Activity(title, iso(at), count, median, q1, q3)
        for title, at, count, median, q1, q3 in zip(titles, *columns, strict=True)
    ]


def _shielded(activity: Activity, own: Container[str], threshold: int) -> Activity:
    """An activity as a student sees it: without figures where fewer than `threshold` others handed in."""
    others = (activity.count or 0) - (activity.activity in own)
    if others < threshold:
        return msgspec.structs.replace(activity, count=None, median=None, q1=None, q3=None)
    return msgspec.structs.replace(
        activity, median=_points(activity.median), q1=_points(activity.q1), q3=_points(activity.q3)
    )


def _rounded(course: Curve) -> Curve:
    if course.percentiles is None:
        return course
    # The mean above all: times the count it is the sum, which one hand-in moves by exactly its score.
    shares = (round(share, 2) for share in msgspec.structs.astuple(course.percentiles))
    return msgspec.structs.replace(course, mean=_points(course.mean), percentiles=Percentiles(*shares))


def _own_score(row: Row, activity: Activity | None) -> OwnScore:
    share = row["score"] / row["maximum"]
    median = activity.median if activity else None
    return OwnScore(row["activity"], row["score"], row["maximum"], share, iso(row["at"]), median)


def _gap(activity: Activity) -> OwnScore:
    return OwnScore(activity.activity, None, None, None, activity.at, activity.median)


def _points(share: float | None) -> float | None:
    return None if share is None else round(share, 2)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
