"""A data directory in which every place that may hold something about a person does, for two people."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import hashlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click.testing

from atomic_guide.cli import program
from atomic_guide.config import Settings, load_settings
from atomic_guide.course.lti.registration import platform_id, tenant_of
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards

ISSUER, CLIENT = "https://lms.example.edu", "client"
TENANT = tenant_of(ISSUER, CLIENT, "1")
OTHER = tenant_of(ISSUER, CLIENT, "2")
CONTEXTS = ("waves", "optics", "fields")
NOW = time.time()

MARK = "q7f3a"
"""Stands in everything that is about the person who is erased, and in nothing else."""
PERSON = f"sub-{MARK}"
FELLOW = "sub-fellow"


def settings_of(data: Path, **more: Any) -> Settings:
    """Settings for a data directory with two shards."""
    return load_settings({}, None, data=str(data), databases__shards=2, **more)


def run(data: Path, *arguments: str, fails: bool = False, environment: dict[str, str] | None = None) -> Any:
    """The JSON answer of a command, or with `fails` the one line that it says on stderr."""
    variables = {"ATOMIC_GUIDE_DATABASES_SHARDS": "2"} | (environment or {})
    command = [*arguments, "--data", str(data), "--json"]
    answer = click.testing.CliRunner(env=variables).invoke(program, command)
    if fails:
        assert answer.exception is not None
        return str(getattr(answer.exception, "message", "")) + answer.stderr
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="atomic-guide-keeping-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # In a thread: a fixture may be made while a loop runs.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(seed(folder))).result()
    return folder


def seeded(data: Path) -> Path:
    """A new data directory that is filled; made once, then copied."""
    shutil.copytree(_template(), data)
    return data


async def seed(data: Path) -> None:
    """Fill a new data directory."""
    shards = await open_embedded(data, settings_of(data).databases)
    try:
        await fill(shards, data)
    finally:
        await shards.close()


async def fill(shards: Shards, data: Path) -> None:
    """Fill open databases, and the objects and uploads of a data directory."""
    await _seed_directory(shards)
    for tenant in (TENANT, OTHER):
        for context in CONTEXTS:
            key = CourseKey.of(tenant, context)
            await put(shards, key, "courses", context=context, title="Waves", last_seq=4, created_at=NOW)
            for user in (PERSON, FELLOW):
                mark = MARK if user == PERSON else "plain"
                await _seed_person(shards, data, key, user, mark)


async def _seed_directory(shards: Shards) -> None:
    directory = shards.directory
    platform = platform_id(ISSUER, CLIENT)
    url = {"auth_url": ISSUER, "token_url": ISSUER, "keyset_url": ISSUER}
    row = {"id": platform, "issuer": ISSUER, "client_id": CLIENT, "name": "LMS", "origins": "", "active": True}
    await _insert(directory, "lti_platforms", {**row, **url, "created_at": NOW})
    for number, tenant in (("1", TENANT), ("2", OTHER)):
        await _insert(
            directory,
            "lti_deployments",
            {"tenant": tenant, "platform": platform, "deployment_id": number, "created_at": NOW},
        )
        for user in (PERSON, FELLOW):
            name = f"{tenant}-{user}"
            payload = json.dumps({"tenant": tenant, "user": user, "name": f"Name {user}"})
            code = {"kind": "resume", "digest": name[-40:], "payload": payload, "expires_at": NOW + 3600}
            await _insert(directory, "one_time_codes", code)
    for user in (PERSON, FELLOW):
        login = {"state": f"s{user}", "nonce": f"n{user}", "binding": "b", "platform": platform}
        request = {"iss": ISSUER, "login_hint": user, "target_link_uri": ISSUER}
        digests = {"state": f"state of {len(user)}", "nonce": f"nonce of {len(user)}"}
        await _insert(
            directory, "lti_logins", {**login, **digests, "request": json.dumps(request), "expires_at": NOW + 600}
        )
        hold = {"id": f"h-{len(user)}", "tenant": TENANT, "course": "", "person": user, "reason": f"case of {user}"}
        await _insert(directory, "legal_holds", {**hold, "placed_at": NOW, "lifted_at": NOW})


async def _seed_person(shards: Shards, data: Path, key: CourseKey, user: str, mark: str) -> None:
    number = 1 if user == PERSON else 2
    await put(shards, key, "members", user=user, name=f"Name {mark}", role="learner", created_at=NOW, seen_at=NOW)
    answer = {"fingerprint": "f", "status": 201, "answer": f'"{mark}"', "expires_at": NOW + 3600}
    await put(shards, key, "idempotency", user=user, call="scores", key=f"k{mark}", **answer)
    for seq in (number, number + 2):
        content = f"{mark} said {'x' * 3000}"
        await put(shards, key, "messages", seq=seq, author=user, id=f"m{mark}{seq}", content=content, created_at=NOW)
    await put(shards, key, "scores", user=user, activity="E1", at=NOW, id=f"s{mark}", score=1.0, maximum=2.0)
    await put(shards, key, "gradebooks", version=1, updated_at=NOW)
    upload = f"v{identity(key, user)}"
    row = {"id": upload, "user": user, "title": f"T {mark}", "filename": f"{mark}.mp4", "length": 9, "received": 5}
    await put(shards, key, "uploads", **row, created_at=NOW, expires_at=NOW + 3600)
    video = f"v{identity(key, user)[::-1]}"
    text = {"steps": "[]", "renditions": "[]", "captions": "[]", "chapters": "[]"}
    row = {"id": video, "title": "A lecture", "filename": f"{mark}.mp4", "uploader": user, "status": "ready"}
    counted = {"progress": 1.0, "size": 5, "derived": 0, "poster": False, "created_at": NOW}
    await put(shards, key, "videos", **row, **counted, **text)
    for name in (f"video/{video}/source", f"video/{video}/captions/en.vtt"):
        file = data / "objects" / key.tenant / key.course / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"the lecture {name}", encoding="utf-8")
    (data / "uploads").mkdir(exist_ok=True)
    (data / "uploads" / upload).write_text(f"half of {mark}", encoding="utf-8")
    job = {"id": f"j{number}", "queue": "video", "kind": "note", "subject": "x", "payload": json.dumps({"to": user})}
    state = {"state": "dead", "priority": 0.0, "attempts": 1, "max_attempts": 5, "run_after": 0.0, "lease_until": 0.0}
    rest = {"lease_owner": "", "token": 1, "progress": 1.0, "created_at": NOW, "finished_at": NOW}
    await put(shards, key, "jobs", **job, **state, **rest)
    ended = {"id": f"e{number}", "queue": "media", "kind": "note", "subject": user, "state": "done", "attempts": 1}
    await put(shards, key, "ended_jobs", **ended, created_at=NOW, ended_at=NOW)
    deed = {"at": NOW, "actor": "root", "action": "dead-letter.dropped", "subject": f"j{number}", "kind": "note"}
    letter = {"before": '{"reason":"no"}', "after": "{}", "digest": "d", "run": ""}
    kept = json.dumps({"payload": {"to": user}})
    await put(shards, key, "operator_actions", id=f"a{number}", **deed, **letter, kept=kept)
    read = {"at": NOW, "call": "performance", "reads": 1}
    await put(shards, key, "record_reads", **read, reader="teacher", subject=user)
    await put(shards, key, "record_reads", **read, reader=user, subject="")
    told = {"kind": "scores.posted", "subject": "", "data": json.dumps({"activity": mark}), "created_at": NOW}
    await put(shards, key, "notifications", user=user, id=f"n{mark}", **told)
    contact = {"address": f"{mark}@example.edu", "locale": "en", "language": "", "updated_at": NOW}
    await put(shards, key, "mail_contacts", user=user, **contact)
    await put(shards, key, "posting_marks", user=user, mark=NOW)
    await _seed_watching(shards, key, user, (number, mark))
    await put(shards, key, "mutes", user=user, until=None, at=NOW)
    done = {"at": NOW, "seq": None, "until": None}
    await put(shards, key, "moderation", revision=number, moderator="teacher", action="muted", subject=user, **done)
    await put(shards, key, "moderation", revision=number + 2, moderator=user, action="closed", subject="", **done)


async def _seed_watching(shards: Shards, key: CourseKey, user: str, named: tuple[int, str]) -> None:
    number, mark = named
    video = f"v{identity(key, user)[::-1]}"
    event = {"type": "watched", "at": NOW, "video": video, "position": 0.0, "until": 10.0, "received_at": NOW}
    await put(shards, key, "events", user=user, id=f"e{mark}", number=number, learner=1, lang="", **event)
    await put(shards, key, "event_streams", taken=2, counted=2, asked_at=0.0, hurried=0)
    place = {"position": 10.0, "position_at": NOW, "seconds": "0-10", "last_at": NOW}
    sums = {"watched": 10, "rewatched": 0, "views": 1}
    await put(shards, key, "lecture_progress", user=user, video=video, **place, **sums)
    await put(shards, key, "student_activity", user=user, last_at=NOW, opened=1)
    figures = {"viewers": 1, "finished": 0, "captions": 0, "last_at": NOW}
    await put(shards, key, "lecture_figures", video=video, **figures, **sums)
    await put(shards, key, "lecture_curves", video=video, block=0, viewers="[1]", plays="[1]")


def identity(key: CourseKey, user: str) -> str:
    """16 hexadecimal digits that no other course or person has."""
    return hashlib.sha256(f"{key.tenant} {key.course} {user}".encode()).hexdigest()[:16]


async def put(shards: Shards, place: CourseKey, table: str, **values: Any) -> None:
    """Insert a row into the shard of a course."""
    await _insert(shards.of(place), table, {**place.columns, **values})


async def _insert(database: Any, table: str, values: dict[str, Any]) -> None:
    columns = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join(f":{name}" for name in values)
    sql = f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608 - a test's own names
    query = Query("insert", "A test's row.", {None: sql})

    async def work(tx: Any) -> None:
        await tx.execute(query, values)

    await database.write(work)


@contextlib.contextmanager
def killed_after(seconds: float, data: Path, *arguments: str) -> Iterator[None]:
    """Run a command in a process and kill it after a while."""
    command = [sys.executable, "-m", "atomic_guide.cli", *arguments, "--data", str(data)]
    environment = {"ATOMIC_GUIDE_DATABASES_SHARDS": "2", "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def rows_with(data: Path, text: str) -> list[str]:
    """Where a text stands in any column of any table, as `file table column`."""
    found = []
    for path in sorted((data / "databases").glob("*.sqlite")):
        connection = sqlite3.connect(path)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - as above
            names = [column[0] for column in cursor.description]
            for row in cursor:
                pairs = zip(names, row, strict=True)
                found += [f"{path.stem} {table} {name}" for name, value in pairs if text in str(value)]
        connection.close()
    return sorted(set(found))


def files_with(data: Path, text: str, *, but: tuple[str, ...] = ("backups",)) -> list[str]:
    """The files below a folder whose bytes hold a text, logs and free pages of databases included."""
    files = [path for path in data.rglob("*") if path.is_file() and not set(but) & set(path.relative_to(data).parts)]
    return sorted(str(path.relative_to(data)) for path in files if text.encode() in path.read_bytes())
