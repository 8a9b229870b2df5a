"""Tasks, their versions, and everything that is written with them."""

from typing import Final

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: A number that the database gives, rising.
_SERIAL: Final = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}
#: Order by bytes, the same in both dialects.
_BYTES: Final = {"sqlite": "", "postgresql": ' COLLATE "C"'}

_RELATION: Final = """
    object_type TEXT{bytes} NOT NULL, object_id TEXT{bytes} NOT NULL, relation TEXT{bytes} NOT NULL,
    subject_type TEXT{bytes} NOT NULL, subject_id TEXT{bytes} NOT NULL, subject_relation TEXT{bytes} NOT NULL"""

_STATEMENTS: Final = (
    """CREATE TABLE tasks (
        id TEXT{bytes} PRIMARY KEY, title TEXT{bytes} NOT NULL, member_id TEXT NOT NULL, member_name TEXT NOT NULL,
        notes TEXT NOT NULL, status TEXT NOT NULL, priority TEXT NOT NULL, version BIGINT NOT NULL,
        created_by TEXT NOT NULL, created_at TEXT{bytes} NOT NULL,
        last_modified_by TEXT NOT NULL, last_modified_at TEXT{bytes} NOT NULL,
        team_id TEXT, assigned_to TEXT, assigned_to_name TEXT, assigned_by TEXT, assigned_by_name TEXT, reason TEXT,
        due_date TEXT{bytes}, completed_at TEXT, completion_notes TEXT, last_modified_by_name TEXT)""",
    "CREATE INDEX tasks_by_assignee ON tasks (assigned_to, due_date)",
    "CREATE INDEX tasks_by_member ON tasks (member_id, due_date)",
    "CREATE INDEX tasks_by_team ON tasks (team_id, due_date)",
    """CREATE TABLE task_versions (
        task_id TEXT NOT NULL, version BIGINT NOT NULL, event_id TEXT NOT NULL, type TEXT NOT NULL,
        changed_at TEXT NOT NULL, changed_by TEXT NOT NULL, changed_fields TEXT NOT NULL, document TEXT NOT NULL,
        resolution TEXT, conflict_id TEXT, PRIMARY KEY (task_id, version))""",
    "CREATE UNIQUE INDEX task_versions_by_event ON task_versions (event_id)",
    """CREATE TABLE outbox (
        seq {serial}, event_id TEXT NOT NULL, type TEXT NOT NULL, key TEXT NOT NULL, payload TEXT NOT NULL,
        created_at TEXT NOT NULL)""",
    """CREATE TABLE inbox (
        event_id TEXT PRIMARY KEY, task_id TEXT NOT NULL, version BIGINT NOT NULL, seen_at TEXT{bytes} NOT NULL)""",
    "CREATE INDEX inbox_by_task ON inbox (task_id, version)",
    """CREATE TABLE activity (
        seq {serial}, id TEXT NOT NULL UNIQUE, team_id TEXT NOT NULL, type TEXT NOT NULL, at TEXT NOT NULL,
        document TEXT NOT NULL)""",
    "CREATE INDEX activity_by_team ON activity (team_id, seq)",
    """CREATE TABLE notifications (
        seq {serial}, id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, document TEXT NOT NULL, read_at TEXT)""",
    "CREATE INDEX notifications_by_user ON notifications (user_id, seq)",
    "CREATE INDEX notifications_unread ON notifications (user_id) WHERE read_at IS NULL",
    """CREATE TABLE conflicts (
        id TEXT PRIMARY KEY, task_id TEXT NOT NULL, user_id TEXT NOT NULL, expected_version BIGINT NOT NULL,
        current_version BIGINT NOT NULL, detected_at TEXT NOT NULL, resolution TEXT, resolved_at TEXT)""",
    """CREATE TABLE replies (
        actor TEXT NOT NULL, key TEXT NOT NULL, body_hash TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
        stored_at TEXT{bytes} NOT NULL, PRIMARY KEY (actor, key))""",
    "CREATE TABLE members (id TEXT{bytes} PRIMARY KEY, name TEXT NOT NULL, team_id TEXT)",
    """CREATE TABLE service_requests (
        id TEXT{bytes} PRIMARY KEY, name TEXT NOT NULL, member_id TEXT NOT NULL, status TEXT NOT NULL, team_id TEXT)""",
    "CREATE INDEX service_requests_by_member ON service_requests (member_id, id)",
    """CREATE TABLE subject_records (
        id TEXT{bytes} PRIMARY KEY, subject_type TEXT NOT NULL, subject_id TEXT NOT NULL, at TEXT{bytes} NOT NULL,
        document TEXT NOT NULL)""",
    "CREATE INDEX subject_records_by_subject ON subject_records (subject_type, subject_id, at)",
    "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, avatar_url TEXT)",
    "CREATE TABLE teams (id TEXT{bytes} PRIMARY KEY, name TEXT NOT NULL)",
    """CREATE TABLE switches (
        name TEXT{bytes} PRIMARY KEY, percentage INTEGER NOT NULL, teams TEXT NOT NULL, changed_at TEXT NOT NULL)""",
    f"""CREATE TABLE relations ({_RELATION},
        PRIMARY KEY (object_type, object_id, relation, subject_type, subject_id, subject_relation))""",
    f"CREATE TABLE relation_changes (revision {{serial}}, operation TEXT NOT NULL, {_RELATION})",
)


def upgrade() -> None:
    """Create everything."""
    dialect = op.get_bind().dialect.name
    for statement in _STATEMENTS:
        op.execute(statement.format(serial=_SERIAL[dialect], bytes=_BYTES[dialect]))
