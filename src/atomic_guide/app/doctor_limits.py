"""What `atomic-guide doctor` says of limits: of a server that runs here, how full each is; else only what they are."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from atomic_guide.app.limits import LIMITS, values_of
from atomic_guide.operations.limits import pages
from atomic_guide.operations.limits.telling import Shown, shown

if TYPE_CHECKING:
    from atomic_guide.config import Settings

_MOST_BYTES = 1 << 20
_SECONDS = 5.0


class _Answer(msgspec.Struct):
    limits: list[Shown]


def read_limits(settings: Settings, server: str) -> list[Shown]:
    """Every limit, asked of the server at an address; without what is used where it does not say."""
    token = settings.operator_token
    with contextlib.suppress(OSError):
        token = token or (Path(settings.data) / "operator-token").read_text(encoding="utf-8").strip()
    request = Request(f"{server}/api/ops/limits", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - ours
    with (
        contextlib.suppress(URLError, OSError, ValueError, msgspec.MsgspecError),
        build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as answer,
    ):
        return msgspec.json.decode(answer.read(_MOST_BYTES), type=_Answer).limits
    return shown(LIMITS, values_of(settings), [])


def said(row: Shown) -> tuple[str, str]:
    """A limit in words, and what to do where it is nearly reached; empty where it is not."""
    text = f"{pages.standing(row)}; {row.setting or 'fixed'}"
    if not row.near:
        return text, ""
    if row.setting:
        return text, f"raise {row.setting}, or see what uses it (docs/limits.md)"
    return text, "see what uses it (docs/limits.md)"
