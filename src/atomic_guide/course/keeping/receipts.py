"""What an erasure leaves behind: a statement of what was there and is not any more, without naming anybody."""

from __future__ import annotations

import hmac

import msgspec

from atomic_guide.course.keeping.key import seal


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure's receipt. `tenant` and `person` are digests with the installation's key.

    `found` counts rows by table (and a tenant's objects) when the erasure was asked for; before the receipt was
    written, all of them were looked for again and none was left. `copies` are other copies on this machine and what
    became of each; `backups` those that still hold the data until they are gone, and are erased when restored.
    """

    id: str
    kind: str
    tenant: str
    person: str
    asked_at: str
    finished_at: str | None = None
    found: dict[str, int] = {}
    videos: bool = False
    copies: dict[str, str] = {}
    backups: list[str] = []
    seal: str = ""

    def sealed(self, key: bytes) -> Receipt:
        """The same with its seal: an HMAC with the installation's key over everything else."""
        return msgspec.structs.replace(self, seal=self._seal(key))

    def is_sealed_with(self, key: bytes) -> bool:
        """Whether this installation wrote it, and nobody changed it."""
        return hmac.compare_digest(self.seal, self._seal(key))

    def _seal(self, key: bytes) -> str:
        return seal(key, "receipt", msgspec.json.encode(msgspec.structs.replace(self, seal="")))
