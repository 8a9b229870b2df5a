"""Where tasks and what belongs to them are kept: one port, an SQLite and a PostgreSQL adapter, migrations."""
