"""Named operators: people, sessions, sign-ins under way, the audit log, approvals.

Expands only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the tables of operators."""
    _people()
    _sessions()
    op.create_table(
        "operator_audit",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.Double(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("operator", "who", "role", "source", "method", "action", "objects", "why")
        ),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("operator_audit_at", "operator_audit", ["at"], unique=False)
    op.create_table(
        "operator_approvals",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("subject", "operator", "who")),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "operator"),
    )
    op.create_index("operator_approvals_at", "operator_approvals", ["at"], unique=False)


def _people() -> None:
    texts = ("id", "issuer", "subject", "email", "name", "role", "source", "added_by")
    op.create_table(
        "operator_people",
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("signed_in_at", sa.Double(), nullable=True),
        sa.Column("removed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("operator_people_subject", "operator_people", ["issuer", "subject"], unique=False)
    op.create_index("operator_people_email", "operator_people", ["email"], unique=False)


def _sessions() -> None:
    op.create_table(
        "operator_sessions",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("digest", "operator", "source", "proof")),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("begun_at", "seen_at", "ends_at")),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("operator_sessions_operator", "operator_sessions", ["operator"], unique=False)
    op.create_index("operator_sessions_ends", "operator_sessions", ["ends_at"], unique=False)
    op.create_table(
        "operator_logins",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("state", "binding", "nonce", "verifier")),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("state"),
    )
    op.create_index("operator_logins_expiry", "operator_logins", ["expires_at"], unique=False)
