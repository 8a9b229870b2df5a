"""Finds the conflicts that were resolved by keeping a version of a task."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index that a task's version history reads."""
    op.execute("CREATE INDEX conflicts_kept ON conflicts (task_id, current_version) WHERE resolution = 'keep_theirs'")
