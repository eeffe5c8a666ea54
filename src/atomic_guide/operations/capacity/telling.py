"""A plan as text that is read once and acted on: what first, what to do by when, then the figures it rests on. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from atomic_guide.operations.capacity.component import Kind
from atomic_guide.operations.capacity.plan import ComponentPlan, Cost, Figure, Until
from atomic_guide.operations.capacity.planner import Plan

_SWINGS = 6
_DIGITS = 3
_BYTES = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))

DOES: dict[Kind, str] = {
    "add_process": "more web processes",
    "add_consumer": "more workers",
    "add_read_replica": "a read replica",
    "add_shard": "a database shard",
    "add_storage": "more storage",
    "add_memory": "more memory",
}
"""What an action is, for people."""


def told(plan: Plan) -> str:
    """The plan in lines of at most about 120 characters."""
    growth = ", ".join(f"{driver} {_of(text, driver)}" for driver, text in plan.growth.items())
    lines = [f"capacity from {plan.made_at[:10]} to {plan.until}; growth: {growth}", "", *_first(plan)]
    lines += [*_short(plan), "", *_acts(plan)]
    lines += _components(plan.components)
    if plan.cost is not None:
        lines += _cost(plan.cost)
    lines += _swings(plan)
    ends = ((one.name, one.unsupported) for one in plan.components if one.unsupported)
    lines += _listed("nothing is said beyond", _joined(ends))
    lines += _listed("not known", (f"{name}: {why}" for name, why in sorted(plan.missing.items())))
    notes = _joined((one.name, note) for one in plan.components for note in one.notes)
    return "\n".join([*lines, *_listed("notes", [*plan.notes, *notes])]).rstrip()


def quantity(value: float, unit: str = "") -> str:
    """A number with three digits and its unit; bytes in the unit that fits."""
    if unit == "bytes":
        size, name = next(((size, name) for size, name in _BYTES if abs(value) >= size), (1.0, "bytes"))
        return f"{_digits(value / size)} {name}"
    if unit == "share":
        return f"{value:.0%}" if value >= 0.1 or not value else f"{value:.1%}"  # noqa: PLR2004 - as many digits
    return f"{_digits(value)} {unit}".rstrip()


def ranged(figure: Figure | None, unit: str = "") -> str:
    """A figure with its interval: the middle, then the ends in brackets where they differ."""
    if figure is None:
        return "unknown"
    middle = quantity(figure.middle, unit)
    if not figure.middle and not figure.low and figure.high:
        one = {"processes": "process", "workers": "worker", "shards": "shard", "replicas": "replica"}
        return f"up to {quantity(figure.high, one.get(unit, unit) if figure.high == 1 else unit)}"
    if figure.low == figure.middle == figure.high == 1 and unit.endswith("s"):
        return f"1 {unit.removesuffix('es' if unit.endswith('sses') else 's')}"
    ends = [quantity(end, unit if unit in {"bytes", "share"} else "") for end in (figure.low, figure.high)]
    return middle if ends[0] == ends[1] else f"{middle} ({ends[0]} to {ends[1]})"


def when(until: Until) -> str:
    """The dates of running out; nothing is said of draws that end later than the evidence."""
    if not until.chance:
        return "not within that"
    if until.low is None:
        return f"hardly ({until.chance:.0%})"
    return f"{until.low} to {until.high or 'later'}"


def _of(text: str, driver: str) -> str:
    return text.removeprefix(f"{driver}=") if text != "none" else "stay"


def _first(plan: Plan) -> list[str]:
    if plan.first is None:
        ends = min(one.supported_until for one in plan.components)
        sure = ends if any(one.unsupported for one in plan.components) else plan.until
        return [f"Nothing that is measured runs out by {sure}."]
    found = plan.first.runs_out
    middle = f" {found.middle}," if found.middle else ""
    return [f"{plan.first.component} runs out first:{middle} {when(found)}, in {found.chance:.0%} of what may be"]


def _short(plan: Plan) -> list[str]:
    """What is missing now and within bounds: it takes a word of an operator, and no order."""
    return [
        f"at its peak {one.name} takes {one.units + one.short} of at most {one.ceiling}, and {one.units}"
        f" {'runs' if one.units == 1 else 'run'}: scaling adds them once its mode is auto (it is {one.mode})"
        for one in plan.components
        if one.short
    ]


def _acts(plan: Plan) -> list[str]:
    rows = [("what to do", "begin by", "runs out", "lead time", "how much", "a month")]
    for act in plan.actions:
        cost = ranged(act.monthly_cost, plan.cost.currency if plan.cost else "") if act.monthly_cost else "no price"
        begin = f"{act.begin_by}, now" if act.overdue else act.begin_by
        what = f"{DOES[act.action]} for {act.component}"
        rows.append((what, begin, when(act.runs_out), f"{act.lead_days:g} days", ranged(act.add, act.unit), cost))
    return [*_table(rows), ""] if plan.actions else []


def _components(components: Iterable[ComponentPlan]) -> list[str]:
    rows: list[tuple[str, ...]] = [
        ("component", "needed today", "for each", "what is there bears", "needed at the end", "runs out")
    ]
    for one in components:
        months = [month for month in one.months if month.need is not None]
        last = ranged(months[-1].need, one.unit) if months else "no evidence"
        label = f" in {months[-1].month}" if months and months[-1] is not one.months[-1] else ""
        bears = ranged(one.capacity, one.unit) if one.capacity is not None else "not known"
        runs_out = when(one.runs_out) if one.capacity is not None else "not known"
        rows.append((one.name, ranged(one.need_now, one.unit), _each(one), bears, last + label, runs_out))
    if all(row[2] == "-" for row in rows[1:]):
        rows = [(*row[:2], *row[3:]) for row in rows]
    return [*_table(rows), ""]


def _each(one: ComponentPlan) -> str:
    """What one user, course or lecture needs."""
    if one.per_driver is None:
        return "-"
    return f"{quantity(one.per_driver.middle, 'bytes' if one.unit == 'bytes' else '')} a {one.driver.removesuffix('s')}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with their columns under one another."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cost(cost: Cost) -> list[str]:
    shown = [f"{label} {ranged(figure)}" for label, figure in zip(cost.labels, cost.months, strict=True) if figure]
    picked = shown if len(shown) <= 3 else [shown[0], shown[len(shown) // 2], shown[-1]]  # noqa: PLR2004 - one line
    without = f"; without {', '.join(cost.unpriced)}, which have no price" if cost.unpriced else ""
    return [f"cost a month in {cost.currency}: {'; '.join(picked) or 'no evidence'}{without}", ""]


def _swings(plan: Plan) -> list[str]:
    rows = [("what moves it most", "", "runs out", "a month at the end")]
    for swing in plan.sensitivity[:_SWINGS]:
        dated = swing.date_low or swing.date_high
        dates = f"{swing.date_low or 'later'} or {swing.date_high or 'later'}" if dated else "not within that"
        cost = "-"
        if swing.cost_low is not None and swing.cost_high is not None:
            cost = f"{_digits(swing.cost_low)} or {_digits(swing.cost_high)}"
        if dated or swing.cost_low != swing.cost_high:
            rows.append((swing.component, swing.input, dates, cost))
    return [*_table(rows), ""] if len(rows) > 1 else []


def _joined(notes: Iterable[tuple[str, str]]) -> list[str]:
    """What is said of components, by name, once for all that share it."""
    shared: dict[str, list[str]] = {}
    for name, note in notes:
        shared.setdefault(note, []).append(name)
    return [f"{', '.join(names)}: {note}" for note, names in shared.items()]


def _listed(title: str, lines: Iterable[str]) -> list[str]:
    found = [f"  {line}" for line in lines]
    return [f"{title}:", *found, ""] if found else []


_LEAST, _MOST = 1e-6, 1e15
"""What is smaller or larger has an exponent: nobody counts its zeros."""


def _digits(value: float) -> str:
    """Three digits, thousands apart."""
    if not value or not _LEAST <= abs(value) < _MOST:
        return f"{value:.3g}"
    places = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    rounded = round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = f"{rounded:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
