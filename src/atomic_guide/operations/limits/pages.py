"""Limits in words: a line for an operator, and the table of docs/limits.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomic_guide.limit import Limit
    from atomic_guide.operations.limits.telling import Shown

_GROUP = 1000


def figure(value: float) -> str:
    """A number for people: 12,000, 0.3, 65,536."""
    if value != round(value) and abs(value) < _GROUP:
        return f"{value:.3g}"
    return f"{value:,.0f}"


def standing(row: Shown) -> str:
    """How full a limit is, in words."""
    most = "" if row.most is None else f" of {figure(row.most)}"
    if row.usage is None or row.value is None:
        return f"{figure(row.most)} {row.unit}, use not known" if row.most is not None else "use not known"
    part = f" ({row.part})" if row.part else ""
    high = f", at most {row.high:.0%}" if row.high is not None and row.high > row.usage else ""
    return f"{row.usage:.0%}: {figure(row.value)}{most} {row.unit}{part}{high}, {row.refused:,} refused"


def line(row: Shown) -> str:
    """A limit for `atomic-guide limits`."""
    mark = "!" if row.near else " "
    return f"{mark} {row.name:<20} {standing(row)}   [{row.setting or 'fixed'}]"


def table(limits: Sequence[Limit]) -> str:
    """The table of the reference page."""
    heads = ("limit", "setting", "unit", "about", "what is refused", "answer", "its use is")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for limit in limits:
        key = f"`{limit.key}`" if limit.key else f"fixed: {figure(limit.fixed or 0)}"
        lines.append(
            f"| `{limit.name}` | {key} | {limit.unit} | {limit.about} | {limit.refuses} | {limit.answer} |"
            f" {limit.use}{' (sizes of the last 5 to 10 minutes)' if limit.about == 'size' else ''} |"
        )
    return "\n".join(lines)
