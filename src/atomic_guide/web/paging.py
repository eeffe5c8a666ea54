"""How much of a list a call answers with: declared once, for the call's description and for what it reads."""

from __future__ import annotations

from typing import Any, NamedTuple

from atomic_guide.web.routing import Call, Parameter

TEXT = {"type": "string", "maxLength": 200}
"""Schema of a parameter that is a word or a name."""

AFTER = Parameter("after", TEXT, "What `next` said.")


class Limit(NamedTuple):
    """The parameter `limit`: `shown` entries for a call without it, `most` at most."""

    shown: int
    most: int
    what: str = "Most to return"

    @property
    def parameter(self) -> Parameter:
        """As a call's description has it."""
        schema = {"type": "integer", "minimum": 1, "maximum": self.most}
        return Parameter("limit", schema, f"{self.what}; {self.shown} if not given.")

    def of(self, call: Call[Any]) -> int:
        """How many a call asks for. Raises `Invalid`, which names the bounds."""
        return call.whole_number("limit", default=self.shown, least=1, most=self.most) or self.shown
