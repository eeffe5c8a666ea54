"""Where the server is: a file that the process which starts it writes, and every other one reads."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from atomic_guide.engines.nats.settings import NatsSettings


class NatsAddress(msgspec.Struct, frozen=True):
    """What a client needs to connect."""

    url: str
    token: str | None = None


def address_file(directory: Path) -> Path:
    """The file below a data directory."""
    return directory / "nats" / "address.json"


def write_address(directory: Path, address: NatsAddress) -> None:
    """Publish the address to the processes of this data directory, and to nobody else: it holds the token."""
    path = address_file(directory)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(address))
    draft.replace(path)


def read_address(directory: Path, settings: NatsSettings) -> NatsAddress | None:
    """The address in force, from the settings or the file; None while no server has been started."""
    if settings.url:
        return NatsAddress(settings.url, settings.token)
    try:
        return msgspec.json.decode(address_file(directory).read_bytes(), type=NatsAddress)
    except (OSError, msgspec.DecodeError):
        return None
