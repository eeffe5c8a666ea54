"""The words of this part: an operator, and what each role may do."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from atomic_guide import errors

Role = Literal["operator", "read-only"]
Source = Literal["token", "oidc", "command"]

TOKEN_ID = "token"  # noqa: S105 - whose name it is, not what it is
"""The id of whoever has the operators' token: one person, as nobody knows which."""


class Operator(msgspec.Struct, frozen=True):
    """Who acts: `name` is for people, `id` tells two of the same name apart."""

    id: str
    name: str
    role: Role
    source: Source

    @property
    def may_act(self) -> bool:
        """Whether this one may change anything."""
        return self.role == "operator"


TOKEN = Operator(TOKEN_ID, "operator", "operator", "token")


class ReadOnly(errors.Forbidden):
    """An act by somebody who may only look."""

    code = "READ_ONLY"


def check_may_act(operator: Operator) -> None:
    """Raise `ReadOnly` for somebody who may only look; the message says who may."""
    if not operator.may_act:
        raise ReadOnly(
            f"{operator.name} may look and not act; somebody with the role operator can do this, or give you that role"
            " with `atomic-guide operators role`",
            details={"role": operator.role, "needs": "operator"},
        )


def person_id(*words: str) -> str:
    """The id of a person, from what the provider knows them by, or the address under which they are listed."""
    return f"p-{hashlib.sha256(chr(0).join(words).encode()).hexdigest()[:16]}"
