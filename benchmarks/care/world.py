"""Who there is: teams of coordinators, of whom half see a task whole, some redacted, some not at all.

Each team has an inner circle. Its tasks stand in the team's list, but the relations give them to the circle: whose
care coordinators see all, whose support staff see the redacted form, and the rest of the team sees nothing of them.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import jwt
from msgspec.structs import replace

from channels.relations import Operation, Relation, relation_of_staff
from channels.services.commits import commit_of_change, commit_of_member
from channels.stores.migrations import upgrade
from channels.stores.records import Commit, Team
from channels.stores.sqlite import SqliteStore
from channels.subjects import Member
from channels.tasks.changes import NewTask, created
from channels.tasks.model import Task, User
from channels.timestamps import iso_utc_ms
from channels.views import View

#: Of ten coordinators of a team: how many see its tasks whole, and redacted; the others see nothing of them.
FULL_OF_TEN: Final = 5
REDACTED_OF_TEN: Final = 3
#: Characters of a task's notes, as long as people write them.
NOTES: Final = 200
TOKEN_LIFE_S: Final = 12 * 3_600


class Coordinator(NamedTuple):
    """Somebody at work, and what they see of their team's tasks."""

    user: User
    team_id: str
    view: View

    def token(self, secret: str) -> str:
        """Return a token that the server accepts."""
        claims = {
            "iss": "care-bench",
            "aud": "care-app",
            "sub": self.user.user_id,
            "name": self.user.user_name,
            "roles": [self.user.user_role],
            "exp": int(time.time()) + TOKEN_LIFE_S,
        }
        return jwt.encode(claims, secret, algorithm="HS256")


class Crew(NamedTuple):
    """A team with its people and tasks."""

    team_id: str
    coordinators: tuple[Coordinator, ...]
    tasks: tuple[Task, ...]

    @property
    def task_list(self) -> str:
        """The channel of the team's tasks."""
        return f"/task_list/team/{self.team_id}"

    @property
    def editors(self) -> tuple[Coordinator, ...]:
        """Those who may change the tasks."""
        return tuple(each for each in self.coordinators if each.view is View.FULL)


def new_secret() -> str:
    """Return a secret to sign tokens with."""
    return secrets.token_urlsafe(48)


def crew(name: str, coordinators: int, tasks: int) -> Crew:
    """Return a team; ``name`` begins the ids of all that belongs to it."""
    people = tuple(_coordinator(name, number) for number in range(coordinators))
    editors = [each.user for each in people if each.view is View.FULL]
    return Crew(name, people, tuple(_task(name, number, editors[number % len(editors)]) for number in range(tasks)))


async def seed(path: Path, crews: tuple[Crew, ...]) -> None:
    """Make a database with the teams in it."""
    await asyncio.to_thread(upgrade, f"sqlite:///{path}")
    store = SqliteStore(path)
    await store.start()
    await asyncio.gather(*(store.commit(commit) for each in crews for commit in commits(each)))
    await store.stop()


def commits(each: Crew) -> Iterator[Commit]:
    """Yield what fills a store with a team, in order."""
    circle = _circle(each.team_id)
    staff = [relation_of_staff(one.user.user_id, "rsa", each.team_id) for one in each.coordinators]
    staff += [
        relation_of_staff(one.user.user_id, one.user.user_role, circle)
        for one in each.coordinators
        if one.view is not View.HIDDEN
    ]
    yield Commit(
        users=tuple(one.user for one in each.coordinators),
        teams=(Team(id=each.team_id, name=each.team_id), Team(id=circle, name=circle)),
        relations=tuple((Operation.TOUCH, relation) for relation in staff),
    )
    yield commit_of_member(None, Member(id=f"{each.team_id}_member", name="John Doe", team_id=circle))
    for task in each.tasks:
        commit = commit_of_change(None, task, event_id=f"ev_{task.id}", by=each.coordinators[0].user)
        # Nobody is there yet to hear of it: what would be sent at the start is left out.
        yield replace(commit, outgoing=(), notification=None, relations=tuple(_within(commit, circle)))


def _coordinator(team_id: str, number: int) -> Coordinator:
    place = number % 10
    view = View.FULL if place < FULL_OF_TEN else View.REDACTED if place < FULL_OF_TEN + REDACTED_OF_TEN else View.HIDDEN
    role = "care_coordinator" if view is View.FULL else "rsa"
    return Coordinator(User(f"{team_id}_cc{number}", f"Coordinator {number}", role), team_id, view)


def _task(team_id: str, number: int, assignee: User) -> Task:
    new = NewTask(
        title="Contact member about appointment", member_id=f"{team_id}_member", team_id=team_id, notes="n" * NOTES
    )
    return created(
        new,
        task_id=f"{team_id}_task{number}",
        member_name="John Doe",
        assignee=assignee,
        by=assignee,
        at=iso_utc_ms(time.time()),
    )


def _circle(team_id: str) -> str:
    return f"{team_id}_circle"


def _within(commit: Commit, circle: str) -> Iterator[tuple[Operation, Relation]]:
    """The relations of a new task, its team replaced by the team's circle."""
    for operation, relation in commit.relations:
        is_team = relation.relation == "team"
        yield operation, relation._replace(subject_id=circle) if is_team else relation
