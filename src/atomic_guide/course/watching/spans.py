"""Which seconds of a lecture somebody has seen: half-open spans of whole seconds, in order and apart. Pure.

They are kept as text such as `0-120 300-451`, which is short for people who watch from the beginning to the end and
readable in an export.
"""

from __future__ import annotations

Spans = list[tuple[int, int]]


def read_spans(text: str) -> Spans:
    """The spans that a text says."""
    return [(int(start), int(end)) for start, _, end in (part.partition("-") for part in text.split())]


def write_spans(spans: Spans) -> str:
    """The text of spans."""
    return " ".join(f"{start}-{end}" for start, end in spans)


def length(spans: Spans) -> int:
    """How many seconds spans cover."""
    return sum(end - start for start, end in spans)


def add(spans: Spans, start: int, end: int) -> tuple[Spans, Spans]:
    """Spans with the seconds from `start` to before `end`, and those of them that are new."""
    joined: Spans = []
    fresh: Spans = []
    low, high, at = start, end, start
    for one in spans:
        if one[1] < start or one[0] > end:
            joined.append(one)
            continue
        # What touches is joined; what lies between the known parts is new.
        if at < min(one[0], end):
            fresh.append((at, min(one[0], end)))
        at = max(at, one[1])
        low, high = min(low, one[0]), max(high, one[1])
    if at < end:
        fresh.append((at, end))
    joined.append((low, high))
    joined.sort()
    return joined, fresh
