"""What people are told in the page, and where they get e-mail."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_COURSE = ("bucket", "tenant", "course")


def upgrade() -> None:
    """Add the feed of notifications and the addresses."""
    _create(
        "notifications",
        _text("id"),
        _text("kind"),
        _text("subject"),
        _text("data"),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("read_at", sa.Double(), nullable=True),
        key=("user", "id"),
    )
    op.create_index("notifications_newest", "notifications", [*_COURSE, "user", "created_at", "id"])
    op.create_index("notifications_subject", "notifications", [*_COURSE, "subject"])
    _create(
        "mail_contacts",
        _text("address"),
        _text("locale"),
        _text("language"),
        sa.Column("off_at", sa.Double(), nullable=True),
        sa.Column("updated_at", sa.Double(), nullable=False),
        key=("user",),
    )


def _create(table: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> None:
    op.create_table(
        table,
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        _text("tenant"),
        _text("course"),
        _text("user"),
        *columns,
        sa.PrimaryKeyConstraint(*_COURSE, *key),
    )


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=False)
