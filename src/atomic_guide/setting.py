"""How a setting is declared in a struct: `name: Annotated[float, setting("What it does.", "s", ge=1)] = 30.0`."""

from __future__ import annotations

from typing import Any

import msgspec


def setting(description: str, unit: str, **bounds: Any) -> msgspec.Meta:
    """What `atomic-guide settings` prints of it, and the bounds that msgspec checks (`ge`, `le`, `pattern`...)."""
    return msgspec.Meta(description=description, extra={"unit": unit}, **bounds)
