"""Looking a backup over: every file and every object against the manifest, every database page by page."""

from __future__ import annotations

from pathlib import Path

import msgspec

from atomic_guide.app.keeping.manifest import LISTED, LISTS, NAME, OBJECTS, Found, Tell
from atomic_guide.course.keeping.key import SECRET
from atomic_guide.engines.assets.snapshot import hash_of, wrong_in
from atomic_guide.engines.data.snapshot import damage_of, secret_of
from atomic_guide.errors import Invalid

_SHOWN = 5
"""Differences that an error names; more would only repeat that the backup is not to be used."""


def verify(found: Found, own: bytes | None, tell: Tell) -> bytes:
    """Check a whole backup; returns the key that it is sealed with. `own` is this installation's key, where known.

    Raises `Invalid` naming what is wrong.
    """
    wrong = [*_wrong_files(found)]
    key = _checked_key(found, own) if not wrong else b""
    if not wrong:
        wrong += _wrong_objects(found, "objects", OBJECTS, tell)
    if not wrong and any(entry.path == LISTED for entry in found.manifest.files):
        wrong += _wrong_objects(found, LISTS, LISTED, tell)
    for entry in found.manifest.files if not wrong else []:
        if entry.path.startswith("databases/") and (damage := damage_of(found.path / entry.path)):
            wrong.append(f"{entry.path} is damaged: {damage}")
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise Invalid(f"the backup {found.path} is not to be used: {'; '.join(wrong[:_SHOWN])}{more}; take another one")
    return key


def _wrong_objects(found: Found, tree: str, listed: str, tell: Tell) -> list[str]:
    try:
        return list(wrong_in(found.path / tree, found.path / listed, tell))
    except msgspec.MsgspecError as error:
        return [f"{listed} cannot be read ({error})"]


def _wrong_files(found: Found) -> list[str]:
    wrong = []
    for entry in found.manifest.files:
        file = found.path / entry.path
        if ".." in Path(entry.path).parts or Path(entry.path).is_absolute():
            wrong.append(f"{entry.path} lies outside")
        elif not file.is_file():
            wrong.append(f"{entry.path} is missing")
        elif file.stat().st_size != entry.size or hash_of(file) != entry.sha256:
            wrong.append(f"{entry.path} is not what the manifest says")
    listed = {entry.path for entry in found.manifest.files}
    present = {f"databases/{path.name}" for path in (found.path / "databases").glob("*")}
    wrong += [f"{path} is not in the manifest" for path in sorted(present - listed)]
    return wrong


def _checked_key(found: Found, own: bytes | None) -> bytes:
    secret = secret_of(found.path / "databases" / "directory.sqlite", SECRET)
    if secret is None:
        raise Invalid(f"the backup {found.path} holds no key of an installation; it is not one of ours")
    key = bytes.fromhex(secret)
    if own is not None and own != key:
        raise Invalid(
            f"the backup {found.path} was made by another installation than the one in the data directory; restore it"
            " into an empty data directory"
        )
    if not found.manifest.is_sealed_with(key):
        raise Invalid(f"{NAME} of {found.path} was changed after the backup was made; take another backup")
    return key
