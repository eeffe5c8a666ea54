"""What is said of a body that is not as its call wants it: the field first, in words and not in those of Python."""

from typing import Annotated

import msgspec
import pytest

from atomic_guide.errors import Invalid
from atomic_guide.web.bodies import decoded


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    delay: Annotated[float, msgspec.Meta(ge=0)]
    name: str | None = None
    parts: list[int] = []


@pytest.mark.parametrize(
    ("body", "message", "field"),
    [
        (b'{"delay": -5}', "delay: expected a number >= 0.0", "delay"),
        (b'{"delay": 1, "name": 3}', "name: expected a text or null, got a whole number", "name"),
        (b'{"delay": 1, "parts": [1, "x"]}', "parts[1]: expected a whole number, got a text", "parts[1]"),
        (b"[]", "expected an object, got a list", None),
        (b"{}", "object missing required field `delay`", None),
        (b'{"delay": 1, "more": 2}', "object contains unknown field `more`", None),
    ],
)
def test_it_names_the_field_and_what_is_wanted(body: bytes, message: str, field: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        decoded(msgspec.json.Decoder(Wanted), body)
    assert str(refused.value) == message
    assert (refused.value.details or {}).get("field") == field
