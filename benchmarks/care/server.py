"""The server as ``bayeux-server`` starts it, noting when each task was committed into a pipe.

Run: ``python -m benchmarks.care.server PIPE serve --config ...``
"""

import os
import sys
import time

from bayeux_server import cli
from channels.stores.records import Commit
from channels.stores.sqlite import SqliteStore


def main() -> None:
    """Note commits, and be the server."""
    _note_commits(os.open(sys.argv.pop(1), os.O_WRONLY))
    cli.main(prog_name="bayeux-server")


def _note_commits(pipe: int) -> None:
    """Write ``task_id version monotonic_us`` for each commit of a task, in the moment it is durable."""
    inner = SqliteStore.commit

    async def noted(self: SqliteStore, commit: Commit) -> None:
        await inner(self, commit)
        if commit.write is not None:
            task = commit.write.task
            os.write(pipe, b"%b %d %d\n" % (task.id.encode(), task.version, time.monotonic_ns() // 1_000))

    SqliteStore.commit = noted  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
