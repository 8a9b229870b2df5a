"""A demo to look at: 3 teams, 12 coordinators, 40 members, 300 tasks; the same each time.

Beside them somebody of the support staff, who sees tasks and no patient's data, and a back-end service.

No real person is meant: names are put together by a seeded generator.
"""

from collections.abc import Iterator
from random import Random
from typing import Final

from channels.relations import Operation, Relation, relation_of_staff
from channels.services.commits import commit_of_change, commit_of_member
from channels.stores.port import CareStore
from channels.stores.records import Commit, Team
from channels.subjects import Member
from channels.tasks.changes import NewTask, TaskChanges, created, updated
from channels.tasks.model import SYSTEM, Priority, Task, TaskStatus, User
from channels.timestamps import iso_utc_ms

TEAMS: Final = (
    Team(id="team_east", name="East"),
    Team(id="team_west", name="West"),
    Team(id="team_north", name="North"),
)
COORDINATORS: Final = 12
MEMBERS: Final = 40
TASKS: Final = 300
LAST_TASK_ID: Final = f"task_{TASKS:03}"

#: Works in the first team as ``rsa``: sees that there is work and how it stands, never of whom.
RITA: Final = User("rsa_001", "Rita Stone", "rsa")

#: 10 November 2025, 08:00 UTC: the first task was created then, and one every ten minutes after.
_BEGIN_S: Final = 1_762_761_600.0
_STEP_S: Final = 600.0
_STAFF: Final = (
    *("Sarah Johnson", "Mike Chen", "Priya Patel", "Tom Becker", "Ana Souza", "Lena Fischer"),
    *("Omar Haddad", "Grace Kim", "Peter Novak", "Julia Rossi", "David Cohen", "Maria Lopez"),
)
_FIRST: Final = ("John", "Mary", "Walter", "Alice", "Robert", "Helen", "Frank", "Ruth", "George", "Irene")
_LAST: Final = ("Doe", "Miller", "Garcia", "Schmidt", "Brown", "Okafor", "Larsen", "Ito")
_TITLES: Final = (
    "Contact member about appointment",
    "Schedule follow-up appointment",
    "Schedule specialist referral",
    "Review discharge summary",
    "Confirm medication list",
    "Arrange transport to clinic",
    "Check prior authorization",
    "Send care plan",
)
_NOTES: Final = (
    "",
    "Called member, left voicemail. Will try again tomorrow.",
    "Member prefers calls in the morning.",
    "Waiting for records from the clinic.",
)


def coordinators() -> tuple[User, ...]:
    """Return the coordinators, ``cc_001`` and so on; the first of each team of four is its lead."""
    return tuple(User(f"cc_{number:03}", name, "care_coordinator") for number, name in enumerate(_STAFF, 1))


def team_of(index: int) -> Team:
    """Return the team of the coordinator, member or task at ``index``: they are dealt out in turn."""
    return TEAMS[index % len(TEAMS)]


def demo_commits() -> Iterator[Commit]:
    """Yield what fills an empty store, in order."""
    staff = coordinators()
    works_in = [relation_of_staff(user.user_id, user.user_role, team_of(index).id) for index, user in enumerate(staff)]
    works_in.append(relation_of_staff(RITA.user_id, RITA.user_role, TEAMS[0].id))
    yield Commit(users=(SYSTEM, *staff, RITA), teams=TEAMS, relations=tuple(map(_touch, works_in)))
    members = _members()
    for member in members:
        yield commit_of_member(None, member)
    random = Random(20251113)
    for index in range(TASKS):
        yield from _task_commits(index, members[random.randrange(MEMBERS)], staff, random)


async def seed(store: CareStore) -> int:
    """Fill an empty store with the demo, and return how many tasks it has.

    Raises:
        channels.stores.port.StoreError: If the store has these tasks already.
        OSError: If the store cannot be reached.
    """
    for commit in demo_commits():
        await store.commit(commit)
    return TASKS


def _members() -> list[Member]:
    return [
        Member(
            id=f"A{100_001 + index}",
            name=f"{_FIRST[index % len(_FIRST)]} {_LAST[(index * 3 + index // len(_FIRST)) % len(_LAST)]}",
            team_id=team_of(index).id,
        )
        for index in range(MEMBERS)
    ]


def _task_commits(index: int, member: Member, staff: tuple[User, ...], random: Random) -> Iterator[Commit]:
    """A task as it was created, and for most of them how it went on."""
    team = next(each for each in TEAMS if each.id == member.team_id)
    colleagues = [user for number, user in enumerate(staff) if team_of(number) == team]
    author, assignee = random.sample(colleagues, 2)
    at_s = _BEGIN_S + index * _STEP_S
    new = NewTask(
        title=random.choice(_TITLES),
        member_id=member.id,
        priority=random.choice(list(Priority)),
        due_date=f"2025-11-{random.randint(13, 30)}" if random.random() < 0.9 else None,
        team_id=team.id,
    )
    first = created(
        new,
        task_id=f"task_{index + 1:03}",
        member_name=member.name,
        assignee=assignee if random.random() < 0.9 else None,
        by=author,
        at=iso_utc_ms(at_s),
    )
    yield commit_of_change(None, first, event_id=f"ev_demo_{index + 1:03}_1", by=author)
    yield from _next_commit(first, assignee, at_s + _STEP_S / 2, random)


def _next_commit(task: Task, by: User, at_s: float, random: Random) -> Iterator[Commit]:
    status = random.choice((TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED))
    after = updated(task, TaskChanges(status=status, notes=random.choice(_NOTES)), by=by, at=iso_utc_ms(at_s))
    if after is not task:
        yield commit_of_change(task, after, event_id=f"ev_demo_{task.id.removeprefix('task_')}_2", by=by)


def _touch(relation: Relation) -> tuple[Operation, Relation]:
    return Operation.TOUCH, relation
