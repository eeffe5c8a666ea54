"""How a setting is declared in a struct: `name: Annotated[float, setting("What it does.", "s", ge=1)] = 30.0`."""

from __future__ import annotations

from typing import Any

import msgspec


class Shown(msgspec.Struct, frozen=True, rename={"origin": "from"}):
    """A setting as it is in force: of a secret only whether it is set, and where its value came from."""

    key: str
    variable: str
    value: Any
    default: Any
    unit: str
    origin: str
    reason: str


def setting(description: str, unit: str, **bounds: Any) -> msgspec.Meta:
    """What `atomic-guide settings` prints of it, and the bounds that msgspec checks (`ge`, `le`, `pattern`...)."""
    return msgspec.Meta(description=description, extra={"unit": unit}, **bounds)
