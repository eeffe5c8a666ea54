"""How lectures are watched: events as they come in, and what they add up to."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add events, how far they are counted, and the sums."""
    _create("event_streams", [], _number("taken"), _number("counted"), _time("asked_at"), _count("hurried"))
    _create(
        "events",
        [_text("user"), _text("id")],
        _number("number"),
        _count("learner"),
        _text("type"),
        _time("at"),
        _text("video"),
        _time("position"),
        _time("until"),
        _text("lang"),
        _time("received_at"),
        with_rowid=False,
    )
    op.create_index("events_order", "events", ["bucket", "tenant", "course", "number"])
    op.create_index("events_received", "events", ["received_at"])
    _create(
        "lecture_progress",
        [_text("user"), _text("video")],
        _time("position"),
        _time("position_at"),
        _text("seconds"),
        *(_count(name) for name in ("watched", "rewatched", "views")),
        sa.Column("finished_at", sa.Double(), nullable=True),
        _time("last_at"),
    )
    op.create_index("lecture_progress_video", "lecture_progress", ["bucket", "tenant", "course", "video", "last_at"])
    _create("student_activity", [_text("user")], _time("last_at"), _count("opened"))
    sums = ("views", "viewers", "finished", "captions", "watched", "rewatched")
    _create("lecture_figures", [_text("video")], *(_number(name) for name in sums), _time("last_at"))
    block = sa.Column("block", sa.Integer(), autoincrement=False, nullable=False)
    _create("lecture_curves", [_text("video"), block], _text("viewers"), _text("plays"))


def _create(table: str, key: list[sa.Column[Any]], *columns: sa.Column[Any], with_rowid: bool = True) -> None:
    op.create_table(
        table,
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        _text("tenant"),
        _text("course"),
        *key,
        *columns,
        sa.PrimaryKeyConstraint("bucket", "tenant", "course", *(column.name for column in key)),
        sqlite_with_rowid=with_rowid,
    )


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False)
