"""Changing what a job carries before it runs again. Pure.

An edit keeps the shape of the payload: it names a field that is there and gives a value of the same JSON type, so that
a slip of the hand does not make a job that cannot run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from atomic_guide.errors import Invalid

_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


class Edit(NamedTuple):
    """A value for a field of the payload; the path of a field in an object has dots."""

    field: str
    value: Any


class Change(NamedTuple):
    """What an edit changes."""

    field: str
    before: Any
    after: Any


Changes = list[Change]
"""What the edits of a job change, in their order."""


def parse_edit(text: str) -> Edit:
    """An edit as it is written, `field=json`. Raises `Invalid`."""
    field, equals, value = text.partition("=")
    if not equals or not field.strip():
        raise Invalid(f"{text[:60]!r} is no edit; write it as field=json, such as language='\"en\"' or parts=3")
    try:
        return Edit(field.strip(), msgspec.json.decode(value))
    except msgspec.DecodeError as error:
        hint = f"; a text needs its quotes: {field}='\"{value}\"'" if value[:1] not in '{["' else ""
        raise Invalid(f"the value of {field} is not JSON ({error}){hint}") from error


def apply_edits(payload: Mapping[str, Any], edits: Sequence[Edit]) -> tuple[dict[str, Any], Changes]:
    """The payload with the edits made, and what they change. Raises `Invalid` for one that does not fit it."""
    edited: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(payload))
    changes: Changes = []
    for edit in edits:
        holder, name = _place(edited, edit.field)
        before = holder[name]
        if _KINDS[type(before)] != _KINDS[type(edit.value)]:
            wanted, given = _KINDS[type(before)], _KINDS[type(edit.value)]
            raise Invalid(f"{edit.field} is {wanted} in this job, and {given} was given")
        if before != edit.value:
            changes.append(Change(edit.field, before, edit.value))
            holder[name] = edit.value
    return edited, changes


def _place(payload: dict[str, Any], field: str) -> tuple[dict[str, Any], str]:
    """The object that holds a field, and the field's own name."""
    holder: Any = payload
    *path, name = field.split(".")
    for part in path:
        holder = holder.get(part) if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or name not in holder:
        there = ", ".join(sorted(payload)) or "none"
        raise Invalid(f"this job carries no field {field}; its fields: {there}")
    return holder, name
