"""Which acts a target of this server has taken, by their keys.

It lasts as long as what was asked for: a target that forgets how many units were wanted when its process ends forgets
both at once, and then the same act is to be done again. Counts are absolute, so that even then it is not done twice.
"""

from __future__ import annotations

_KEPT = 256
"""Keys that are remembered: on one fleet one act is carried out at a time, and asked for again for hours at most."""

_BACK = "/back"
"""What the key of taking an act back ends with (acting.py)."""


class Taken:
    """The keys that one target has taken, the oldest forgotten first."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._keys: dict[str, None] = {}
        self._newest = ""

    def __contains__(self, key: str) -> bool:
        """Whether the act has been done, or was taken back: then it is not to be done any more."""
        return key in self._keys

    def overtaken(self, key: str) -> bool:
        """Whether a newer act has been taken since. The newest one may be asked for again, which goes on with it."""
        return key in self._keys and key != self._newest

    def add(self, key: str) -> None:
        """Remember that it is done; an act that is taken back ends with it."""
        self._newest = key
        for one in {key, key.removesuffix(_BACK)}:
            self._keys.pop(one, None)
            self._keys[one] = None
        while len(self._keys) > self._kept:
            del self._keys[next(iter(self._keys))]
