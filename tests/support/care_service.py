"""The care service over a real SQLite store, with a clock to set, ids to foresee and rights to grant."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from channels.locks.guard import LockGuard, NoLocks, Verdict, WriteIntent
from channels.policy import Principal
from channels.services.caller import Caller, Question, Reply
from channels.services.care import CareService, Ports
from channels.services.errors import CareError
from channels.stores.port import CareStore
from channels.stores.records import Commit, Team
from channels.subjects import Member
from channels.tasks.conflict import Resolution
from channels.tasks.model import User
from tests.support.care import BORN_S, MIKE, SARAH

RITA = User("rsa_1", "Rita Stone", "rsa")
EVE = User("cc_000", "Eve Other", "care_coordinator")
SERVICE = User("system", "CareFlow Automation", "system")
JOHN = Member(id="A123456", name="John Doe", team_id="team_1")


def caller(user: User) -> Caller:
    """A caller with the role of its user."""
    return Caller(user, Principal(user.user_id, frozenset({user.user_role})))


class Rights:
    """Permissions as a rule over questions: Sarah and Mike care, Rita supports, nobody else may anything."""

    def __init__(self) -> None:
        self.taken: set[Question] = set()
        self.failing = False

    async def answers(self, questions: Sequence[Question]) -> Sequence[bool]:
        """See :class:`channels.services.caller.Permissions`."""
        if self.failing:
            raise OSError("no checker")
        return [question not in self.taken and self._may(*question) for question in questions]

    def _may(self, user_id: str, permission: str, _object_type: str, object_id: str) -> bool:
        if object_id in ("team_2", "A999999"):
            return False
        return user_id in ("cc_456", "cc_789") or (user_id == "rsa_1" and permission == "view")


class Recorder(NoLocks):
    """Locks, disclosures and counted conflicts."""

    def __init__(self) -> None:
        self.shown_ids: list[tuple[str, str]] = []
        self.counted: Counter[str] = Counter()
        self.verdict: Verdict | None = None
        self.intents: list[WriteIntent] = []

    async def check(self, intent: WriteIntent) -> Verdict:
        """See :class:`channels.locks.guard.LockGuard`."""
        self.intents.append(intent)
        return self.verdict or await super().check(intent)

    async def shown(self, to: Caller, kind: str, documents: Sequence[Mapping[str, Any]]) -> None:
        """See :class:`channels.services.caller.Disclosures`."""
        self.shown_ids += [(to.user.user_id, kind)] * len(documents)

    def detected(self) -> None:
        """See :class:`channels.services.caller.ConflictObserver`."""
        self.counted["detected"] += 1

    def resolved(self, resolution: Resolution) -> None:
        """See :class:`channels.services.caller.ConflictObserver`."""
        self.counted[resolution.value] += 1


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        """See :class:`bayeux_server.server.clock.Clock`."""
        return self.seconds

    def wall(self) -> float:
        """See :class:`bayeux_server.server.clock.Clock`."""
        return BORN_S + self.seconds


class Care:
    """The service and what is around it. ``call`` answers a refusal like a reply."""

    def __init__(self, store: CareStore, locks: LockGuard | None = None) -> None:
        numbers = count(1)
        self.store = store
        self.rights = Rights()
        self.recorder = Recorder()
        self.clock = Clock()
        self.service = CareService(
            Ports(
                store=store,
                permissions=self.rights,
                locks=locks or self.recorder,
                clock=self.clock,
                disclosures=self.recorder,
                conflicts=self.recorder,
                new_id=lambda kind: f"{kind}_{next(numbers)}",
            )
        )

    async def prepare(self) -> None:
        """Put in the people."""
        other = Member(id="A999999", name="Jane Roe")
        await self.store.commit(
            Commit(users=(SARAH, MIKE, RITA, SERVICE), members=(JOHN, other), teams=(Team(id="team_1", name="East"),))
        )

    async def call(self, operation: str, user: User, body: object, key: str | None = None) -> Reply:
        """Call as ``user``; an error becomes a reply with its status and body."""
        try:
            return await self.service.call(operation, caller(user), body, key)
        except CareError as error:
            return Reply(error.status, error.body)

    async def task(self, **fields: object) -> str:
        """Create a task as Sarah, and return its id."""
        body = {"title": "Contact member", "member_id": JOHN.id, "team_id": "team_1", **fields}
        return str((await self.call("task.create", SARAH, body)).body["id"])

    async def events(self) -> list[str]:
        """Types of the events that wait, which are taken out."""
        async with self.store.outbox_batch(1000) as batch:
            await batch.mark_sent([entry.seq for entry in batch.entries])
            return [entry.event.type for entry in batch.entries]
