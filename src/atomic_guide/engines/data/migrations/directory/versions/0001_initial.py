"""The first schema."""

from alembic import op

from atomic_guide.engines.data.schema import directory_metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    directory_metadata.create_all(op.get_bind())
