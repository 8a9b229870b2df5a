"""A process to be killed: changes tasks as fast as it can, and says on standard output what was acknowledged."""

import asyncio
import sys
from pathlib import Path

from channels.stores.sqlite import SqliteStore
from channels.tasks.model import Task
from tests.support.care import Story, new_task

#: Tasks that are changed at the same time, so that groups form.
TASKS = 20


async def write_until_killed(path: Path) -> None:
    """Go through version after version of each task."""
    store = SqliteStore(path)
    await store.start()
    await asyncio.gather(*(write(store, number) for number in range(TASKS)))


async def write(store: SqliteStore, number: int) -> None:
    """Change one task for ever."""
    story = Story(f"ev_{number}_")
    task = new_task(f"task_{number}")
    await store.commit(story.create(task))
    acknowledge(task)
    while True:
        task, commit = story.edit(task, f"notes {task.version}")
        await store.commit(commit)
        acknowledge(task)


def acknowledge(task: Task) -> None:
    """One line, in one write: a line that is cut off by the kill has no end."""
    sys.stdout.write(f"{task.id} {task.version}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write_until_killed(Path(sys.argv[1])))
