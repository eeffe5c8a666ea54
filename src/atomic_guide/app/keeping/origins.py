"""What can be put back: a backup, or the log as it was at a moment."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Protocol

from atomic_guide.app.keeping.lectures import named_folders
from atomic_guide.app.keeping.log import OBJECTS, TOKEN, folder_of, log_folder
from atomic_guide.app.keeping.manifest import LISTS, Found, Tell, choose
from atomic_guide.app.keeping.verify import verify
from atomic_guide.clock import from_iso, iso
from atomic_guide.config import Settings
from atomic_guide.course.keeping import ledger
from atomic_guide.course.keeping.key import SECRET
from atomic_guide.engines.assets.snapshot import gather
from atomic_guide.engines.data.snapshot import damage_of, secret_of, version_of
from atomic_guide.engines.data.wal.litestream import find_program, rebuild
from atomic_guide.engines.data.wal.marks import Point, find, spans
from atomic_guide.errors import Invalid, NotFound

NEWEST = "latest"
_DIRECTORY = "directory"


class Origin(Protocol):
    """Something that is put back."""

    @property
    def id(self) -> str:
        """What it is called."""
        ...

    @property
    def began_at(self) -> str:
        """Everything that was done before this time is in it (ISO 8601)."""
        ...

    @property
    def shards(self) -> int:
        """How many shards it holds."""
        ...

    @property
    def ledgers(self) -> list[Path]:
        """Where ledgers of erasures may lie with it; what is said of them counts as what was known elsewhere."""
        ...

    @property
    def lists(self) -> Path | None:
        """Where lists of lectures lie with it that a bucket keeps; None: they are in the bucket only."""
        ...

    def verify(self, own: bytes | None, tell: Tell) -> None:
        """Look it over without putting anything back; `own` is this installation's key. Raises `Invalid`."""
        ...

    def fill(self, stage: Path, own: bytes | None, tell: Tell) -> bytes:
        """Write verified databases, objects and the token below `stage`; the key. Raises `Invalid`."""
        ...


class FromBackup:
    """A backup; nothing but what it holds."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self.id = found.manifest.id
        self.began_at = found.manifest.began_at
        self.shards = found.manifest.shards

    @property
    def ledgers(self) -> list[Path]:
        """The one beside the backups."""
        return [self._found.path.parent / ledger.FILE]

    @property
    def lists(self) -> Path | None:
        """Those that it took along."""
        return self._found.path / LISTS

    def verify(self, own: bytes | None, tell: Tell) -> None:
        """Read every byte of it."""
        verify(self._found, own, tell)

    def fill(self, stage: Path, own: bytes | None, tell: Tell) -> bytes:
        """Verify it, then copy it; objects are hard links where they can be."""
        key = verify(self._found, own, tell)
        source = self._found.path
        for entry in self._found.manifest.files:
            if entry.path.startswith("databases/"):
                shutil.copyfile(source / entry.path, stage / entry.path)
                tell(f"put back {Path(entry.path).stem}")
        gather(source / OBJECTS, stage / OBJECTS, None, tell)
        if (source / TOKEN).is_file():
            shutil.copy2(source / TOKEN, stage / TOKEN)
        if (source / ledger.FILE).is_file():
            shutil.copy2(source / ledger.FILE, stage / ledger.FILE)
        return key


class FromLog:
    """The log at one of its marks."""

    def __init__(self, settings: Settings, point: Point) -> None:
        self._settings = settings
        self._data = Path(settings.data)
        self._log = log_folder(settings)
        self._point = point
        self.id = f"{point.timeline.name} at {iso(point.mark.until)}"
        self.began_at = iso(point.mark.at)
        self.shards = len(point.mark.positions) - 1

    @property
    def ledgers(self) -> list[Path]:
        """Those in the log and beside the backups."""
        return [self._log / ledger.FILE, folder_of(self._settings.backups, self._data) / ledger.FILE]

    @property
    def lists(self) -> Path | None:
        """None: what a bucket keeps is its own to bring back."""
        return None

    def verify(self, own: bytes | None, tell: Tell) -> None:
        """Rebuild the databases in a folder that is thrown away."""
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=self._data, prefix=".trying-") as name:
            (Path(name) / "databases").mkdir()
            self._rebuild(Path(name), own, tell)

    def fill(self, stage: Path, own: bytes | None, tell: Tell) -> bytes:
        """Rebuild the databases, and bring the objects that their rows name."""
        key = self._rebuild(stage, own, tell)
        gather_named(stage, [self._log / OBJECTS, self._data / "objects"])
        token = next((folder / TOKEN for folder in (self._data, self._log) if (folder / TOKEN).is_file()), None)
        if token is not None:
            shutil.copy2(token, stage / TOKEN)
        return key

    def _rebuild(self, stage: Path, own: bytes | None, tell: Tell) -> bytes:
        program = find_program(self._settings.backups.log)
        timeline, mark = self._point
        for name, position in sorted(mark.positions.items()):
            target = stage / "databases" / f"{name}.sqlite"
            rebuild(program, timeline, name, position, target)
            if damage := damage_of(target):
                raise Invalid(f"{name} from the log in {timeline} is damaged ({damage}); go back to an earlier moment")
            version_of(target)
            tell(f"rebuilt {name}, {target.stat().st_size / 1e6:.1f} MB")
        secret = secret_of(stage / "databases" / f"{_DIRECTORY}.sqlite", SECRET)
        if secret is None:
            raise Invalid(f"the log in {timeline} holds no key of an installation; it is not one of ours")
        if own is not None and bytes.fromhex(secret) != own:
            raise Invalid(
                f"the log in {timeline} was written by another installation than the one in the data directory; restore"
                " it into an empty data directory"
            )
        return bytes.fromhex(secret)


def choose_origin(settings: Settings, backup: str | None, at: str | None) -> Origin:
    """What is meant: a backup by its name, or the newest state at or before a time (ISO 8601, or `latest` of the log).

    A time from before the log is looked for in the backups. Raises `NotFound` saying what there is, ValueError for a
    text that is no time.
    """
    data, log = Path(settings.data), log_folder(settings)
    backups = folder_of(settings.backups, data)
    if at is None:
        return FromBackup(choose(backups, backup, None))
    if at == NEWEST:
        return FromLog(settings, find(log, None))
    moment = from_iso(at)
    known = spans(log)
    if not known or moment < known[0].first.until:
        try:
            return FromBackup(choose(backups, None, moment))
        except NotFound as error:
            if known:
                raise NotFound(f"{error.message}; the log reaches {', and '.join(s.text for s in known)}") from error
            raise
    try:
        return FromLog(settings, find(log, moment))
    except NotFound as error:
        try:
            before = choose(backups, None, moment).manifest
        except NotFound:
            raise error from None
        raise NotFound(f"{error.message}; the newest backup before is {before.id}, begun {before.began_at}") from error


def gather_named(stage: Path, sources: list[Path]) -> None:
    """Bring the objects that rows of the prepared databases name, and no others: those were deleted, or came later."""
    for prefix in {prefix for prefix, _ in named_folders(stage)}:
        for source in sources:
            if (source / prefix).is_dir():
                gather(source / prefix, stage / OBJECTS / prefix, None, lambda _: None)


def without_objects(stage: Path) -> int:
    """How many lectures of the prepared databases have no file at all."""
    return sum(1 for prefix, wanted in named_folders(stage) if wanted and not (stage / OBJECTS / prefix).is_dir())
