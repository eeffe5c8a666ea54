"""A plan as a picture: for each component a panel with need against capacity, month by month."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from html import escape

from atomic_guide.operations.capacity.plan import ComponentPlan, Figure
from atomic_guide.operations.capacity.planner import Plan
from atomic_guide.operations.capacity.telling import quantity, when
from atomic_guide.operations.scaling.picture import FONT

_WIDTH, _LEFT, _RIGHT = 1000, 84, 24
_TOP, _PANEL, _HEAD, _GAP = 92, 132, 40, 34
_NEED, _CAPACITY, _NOW, _OUT, _INK, _QUIET, _GRID = (
    "#2a78d6", "#1d1d1b", "#6b7280", "#d64545", "#1d1d1b", "#5c5a55", "#e7e5df",
)  # fmt: skip
Scale = Callable[[float], float]

_LABELS_MOST = 13
_FAR = 4
"""A limit so many times the need would press the need flat: it is told at the edge of the panel instead."""
_LATE = 0.85
"""From here on, a date at a mark stands before it."""

_BAND = f'fill="{_NEED}" opacity="0.25"'
_RUNS_OUT = f'fill="{_OUT}" opacity="0.18"'
_DASHED = 'stroke-dasharray="5 3"'
_HATCHED = (
    '<defs><pattern id="unknown" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="7" height="7" fill="#f4f3ef"/><line x1="0" y1="0" x2="0" y2="7" stroke="#c9c6bd" stroke-width="2"/>'
    "</pattern></defs>"
)

_LINES = 4
"""Lines of the grid in a panel, at most."""


def draw(plan: Plan) -> str:
    """An SVG document. Bands hold nine of ten chances; hatched is what no evidence reaches."""
    begins, ends = date.fromisoformat(plan.made_at[:10]), date.fromisoformat(plan.until)
    height = _TOP + len(plan.components) * (_HEAD + _PANEL + _GAP) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {height}" role="img" {FONT}>',
        "<title>Need against capacity, and when it runs out</title>",
        _HATCHED,
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
        *_title(plan),
        *_legend(),
    ]
    for number, one in enumerate(plan.components):
        top = _TOP + number * (_HEAD + _PANEL + _GAP)
        parts += _panel(one, top, begins, (ends - begins).days)
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, style: str = f'fill="{_QUIET}"') -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _box(left: float, top: float, size: tuple[float, float], style: str) -> str:
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" {style}/>'


def _line(path: str, colour: str, width: float = 1.0, more: str = "") -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" {more}/>'


def _title(plan: Plan) -> list[str]:
    first = plan.first
    head = f"{first.component} runs out first: {when(first.runs_out)}" if first else "Nothing runs out"
    growth = ", ".join(sorted(set(plan.growth.values())))
    return [
        _text(_LEFT, 28, head, f'fill="{_INK}" font-size="17" font-weight="600"'),
        _text(_LEFT, 48, f"{plan.made_at[:10]} to {plan.until}, growth {growth}"),
    ]


def _legend() -> list[str]:
    swatch = (18.0, 10.0)
    entries: tuple[tuple[Callable[[float], str], str, int], ...] = (
        (lambda x: _box(x, 60, swatch, _BAND), "need, 9 of 10", 128),
        (lambda x: _line(f"M{x} 65h18", _CAPACITY, 2), "what there is bears, grown to its limit", 268),
        (lambda x: _line(f"M{x} 65h18", _NOW, 1.5, _DASHED), "what runs now", 126),
        (lambda x: _box(x, 60, swatch, _RUNS_OUT), "runs out, 9 of 10", 144),
        (lambda x: _box(x, 60, swatch, 'fill="url(#unknown)"'), "no evidence", 100),
    )
    parts, x = [], float(_LEFT)
    for drawn, label, width in entries:
        parts += [drawn(x), _text(x + 24, 69, label)]
        x += width
    return parts


def _panel(one: ComponentPlan, top: int, begins: date, days: int) -> list[str]:
    floor = top + _HEAD + _PANEL
    high = max(_tops(one)) * 1.08 or 1.0

    def y(value: float) -> float:
        return floor - _PANEL * min(value, high) / high

    def x(number: float) -> float:
        return _LEFT + _WIDTH * min(max(number, 0.0), days) / days

    def day(text: str) -> float:
        return x((date.fromisoformat(text) - begins).days)

    unit = one.unit if one.unit in {"bytes", "share"} else ""
    parts = [
        _text(_LEFT, top + 14, one.name, f'fill="{_INK}" font-weight="600"'),
        _text(_LEFT, top + 30, f"{one.what}, {one.unit}: {when(one.runs_out)}"),
    ]
    for value in _grid(high):
        parts.append(_line(f"M{_LEFT} {y(value):.1f}h{_WIDTH}", _GRID))
        parts.append(_text(_LEFT - 8, y(value) + 4, quantity(value, unit), f'text-anchor="end" fill="{_QUIET}"'))
    edge = day(one.supported_until)
    if edge < _LEFT + _WIDTH:
        parts.append(_box(edge, top + _HEAD, (_LEFT + _WIDTH - edge, _PANEL), 'fill="url(#unknown)"'))
    parts += _runs_out(one, day, top)
    parts += _band([(day(place.date), place.need) for place in one.course], y)
    parts += _capacities(one, y, high)
    return parts + _months(one, day, floor)


def _grid(high: float) -> list[float]:
    """Round values from nothing to the top."""
    power: float = 10.0 ** math.floor(math.log10(high / _LINES))
    step = next((round_ * power for round_ in (1, 2, 2.5, 5) if round_ * power >= high / _LINES), 10 * power)
    return [step * number for number in range(int(high / step) + 1)]


def _tops(one: ComponentPlan) -> list[float]:
    needs = [place.need.high for place in one.course]
    capacities = [figure.high for figure in (one.capacity, one.capacity_now) if figure is not None]
    most = max(needs)
    return [most, *(value for value in capacities if value <= _FAR * most)]


def _band(known: list[tuple[float, Figure]], y: Scale) -> list[str]:
    if len(known) < 2:  # noqa: PLR2004 - a line has two ends
        return []
    upper = [f"{at:.1f} {y(need.high):.1f}" for at, need in known]
    lower = [f"{at:.1f} {y(need.low):.1f}" for at, need in reversed(known)]
    middle = [f"{at:.1f} {y(need.middle):.1f}" for at, need in known]
    return [f'<path d="M{" L".join([*upper, *lower])} Z" {_BAND}/>', _line(f"M{' L'.join(middle)}", _NEED, 2)]


def _capacities(one: ComponentPlan, y: Scale, high: float) -> list[str]:
    """The limit with its band, and what runs now where that is less; in words where it is above the panel."""
    if one.capacity is None:
        return []
    parts = []
    if one.capacity.low > high:
        text = f"\u2191 bears {quantity(one.capacity.middle, one.unit)}"
        parts.append(_text(_LEFT + _WIDTH - 4, y(high) + 14, text, f'text-anchor="end" fill="{_QUIET}"'))
    else:
        low, middle, top = (y(value) for value in (one.capacity.low, one.capacity.middle, one.capacity.high))
        parts.append(_box(_LEFT, top, (_WIDTH, low - top), f'fill="{_CAPACITY}" opacity="0.12"'))
        parts.append(_line(f"M{_LEFT} {middle:.1f}h{_WIDTH}", _CAPACITY, 2))
    now = one.capacity_now
    if now is not None and one.ceiling > one.units and now.middle <= high:
        parts.append(_line(f"M{_LEFT} {y(now.middle):.1f}h{_WIDTH}", _NOW, 1.5, _DASHED))
    return parts


def _runs_out(one: ComponentPlan, day: Callable[[str], float], top: int) -> list[str]:
    """The time in which it may run out, and its middle."""
    until = one.runs_out
    if until.low is None:
        return []
    left, right = day(until.low), day(until.high or one.supported_until)
    parts = [_box(left, top + _HEAD, (max(right - left, 2), _PANEL), _RUNS_OUT)]
    if until.middle is not None:
        middle = day(until.middle)
        shift, anchor = (-6, "end") if middle > _LEFT + _WIDTH * _LATE else (6, "start")
        parts.append(_line(f"M{middle:.1f} {top + _HEAD}v{_PANEL}", _OUT, 2))
        foot = top + _HEAD + _PANEL - 8
        parts.append(_text(middle + shift, foot, until.middle, f'text-anchor="{anchor}" fill="{_OUT}"'))
    return parts


def _months(one: ComponentPlan, day: Callable[[str], float], floor: int) -> list[str]:
    """Begins of months at the foot."""
    step = max(1, math.ceil(len(one.months) / _LABELS_MOST))
    parts = []
    for month in one.months[1::step]:
        at = day(f"{month.month}-01")
        parts.append(_line(f"M{at:.1f} {floor}v4", _QUIET))
        parts.append(_text(at, floor + 17, month.month, f'text-anchor="middle" fill="{_QUIET}"'))
    return parts
