"""Who may speak in a room, what was deleted there, live sessions, and how much each person has said lately."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"

_DELETED = sa.text("revision IS NOT NULL")
_LIVE = sa.text("live_until IS NOT NULL")


def upgrade() -> None:
    """Add what moderation, live sessions and limits over all processes need."""
    op.add_column("courses", sa.Column("room_revision", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("courses", sa.Column("room_mark", sa.Double(), nullable=False, server_default="0"))
    op.add_column("courses", sa.Column("closed_at", sa.Double(), nullable=True))
    op.add_column("courses", sa.Column("muted", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("courses", sa.Column("live_revision", sa.BigInteger(), nullable=True))
    op.add_column("courses", sa.Column("live_until", sa.Double(), nullable=True))
    op.create_index(
        "courses_live",
        "courses",
        ["live_until"],
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    op.add_column("messages", sa.Column("revision", sa.BigInteger(), nullable=True))
    op.create_index(
        "messages_deleted",
        "messages",
        ["bucket", "tenant", "course", "revision"],
        sqlite_where=_DELETED,
        postgresql_where=_DELETED,
    )
    _create("mutes", _person(), sa.Column("until", sa.Double(), nullable=True), _time("at"))
    _create(
        "moderation",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        _time("at"),
        sa.Column("moderator", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.Double(), nullable=True),
    )
    _create("posting_marks", _person(), _time("mark"), with_rowid=False)


def _create(table: str, key: sa.Column[Any], *columns: sa.Column[Any], with_rowid: bool = True) -> None:
    op.create_table(
        table,
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("course", sa.Text(), nullable=False),
        key,
        *columns,
        sa.PrimaryKeyConstraint("bucket", "tenant", "course", key.name),
        sqlite_with_rowid=with_rowid,
    )


def _person() -> sa.Column[Any]:
    return sa.Column("user", sa.Text(), nullable=False)


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=False)
