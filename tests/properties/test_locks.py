"""Field locks as a state machine against a naive model: one holder, rising tokens, no write under an old one."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channels.locks.guard import LockMode, WriteIntent, judge
from channels.locks.model import Attempt, Holder, LockChange, LockTimes
from channels.locks.table import LockTable
from tests.support.examples import examples

TIMES = LockTimes()
BORN_MS = 1_763_028_000_000
TASK = "task_1"
FIELDS = ("notes", "status")
HOLDERS = {
    session: Holder(session, user, user.title())
    for session, user in {"a1": "ann", "a2": "ann", "b1": "bob", "c1": "cem"}.items()
}
fields, sessions = st.sampled_from(FIELDS), st.sampled_from(sorted(HOLDERS))
#: What passes before a deed: nothing, or a span around the grace time and the lease.
waits = st.sampled_from([0, 1, 4_000, 8_001, 11_999, 12_000, 18_000])


class Lease:
    """The naive model of a granted lock."""

    def __init__(self, session: str, token: int, now: int) -> None:
        self.session, self.token, self.lost = session, token, False
        self.until = now + TIMES.lease_ms


class LockMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = LockTable(TIMES)
        self.now = BORN_MS
        self.leases: dict[str, Lease] = {}
        #: What each session believes to hold, as clients that never learn of an end would.
        self.believed: dict[tuple[str, str], int] = {}
        self.highest: dict[str, int] = {}
        self.highest_written: dict[str, int] = {}
        self.shown: dict[str, int] = {}

    @rule(field=fields, session=sessions, wait=waits)
    def acquire(self, field: str, session: str, wait: int) -> None:
        self.now += wait
        lease = self._live(field)
        attempt = self.table.acquire(TASK, field, HOLDERS[session], self.now)
        same_person = lease is None or HOLDERS[lease.session].user_id == HOLDERS[session].user_id
        assert attempt.granted is same_person
        if lease is not None and not attempt.granted:
            assert attempt.lock.holder == HOLDERS[lease.session]
            assert attempt.changes == ()
        elif lease is not None and lease.session == session:
            assert attempt.lock.token == lease.token
            lease.until, lease.lost = self.now + TIMES.lease_ms, False
        else:
            self._granted(field, session, attempt)

    @rule(field=fields, session=sessions)
    def take_over(self, field: str, session: str) -> None:
        lease = self._live(field)
        attempt = self.table.take_over(TASK, field, HOLDERS[session], self.now)
        assert attempt.granted
        if lease is not None and lease.session == session:
            assert attempt.lock.token == lease.token
            lease.until, lease.lost = self.now + TIMES.lease_ms, False
        else:
            assert attempt.replaced == (None if lease is None else HOLDERS[lease.session])
            self._granted(field, session, attempt)

    @rule(field=fields, session=sessions)
    def release(self, field: str, session: str) -> None:
        self._hear(self.table.release(TASK, field, session, self.now))
        lease = self._live(field)
        if lease is not None and lease.session == session:
            del self.leases[field]

    @rule(session=sessions)
    def leave(self, session: str) -> None:
        self._hear(self.table.release_session(session, self.now))
        self.leases = {field: lease for field, lease in self.leases.items() if lease.session != session}

    @rule(session=sessions, wait=waits)
    def heartbeat(self, session: str, wait: int) -> None:
        self.now += wait
        mine = self._mine(session)
        assert self.table.renew(TASK, session, self.now) == len(mine)
        for lease in mine:
            lease.until, lease.lost = self.now + TIMES.lease_ms, False

    @rule(session=sessions, wait=waits)
    def lose_connection(self, session: str, wait: int) -> None:
        self.now += wait
        self.table.lose(session, self.now)
        for lease in self._mine(session):
            if not lease.lost:
                lease.until, lease.lost = self.now + TIMES.grace_ms, True

    @rule(session=sessions, wait=waits)
    def come_back(self, session: str, wait: int) -> None:
        self.now += wait
        mine = self._mine(session)
        assert self.table.resume(session, self.now) == len(mine)
        for lease in mine:
            lease.until, lease.lost = self.now + TIMES.lease_ms, False

    @rule(field=fields, session=sessions)
    def write_with_the_token_one_believes_in(self, field: str, session: str) -> None:
        token = self.believed.get((session, field))
        if token is None:
            return
        holder, lease = HOLDERS[session], self._live(field)
        allowed = self._writes(field, holder.user_id, {field: token})
        if allowed:
            assert token == self.highest[field]
            assert token >= self.highest_written.get(field, 0)
            assert lease is None or lease.token == token
            self.highest_written[field] = token
        else:
            assert token < self.highest[field] or (lease is not None and lease.session != session)

    @rule(field=fields, session=sessions)
    def write_without_a_token(self, field: str, session: str) -> None:
        user, lease = HOLDERS[session].user_id, self._live(field)
        held_by_another = lease is not None and HOLDERS[lease.session].user_id != user
        assert self._writes(field, user, {}) is not held_by_another

    @rule(span=st.one_of(st.integers(1, 5_000), st.sampled_from([11_999, 12_000, 29_999, 30_000])), sweep=st.booleans())
    def time_passes(self, span: int, sweep: bool) -> None:
        self.now += span
        if sweep:
            self._hear(self.table.expire(self.now))
            assert set(self.shown) == {field for field in FIELDS if self._live(field)}

    @invariant()
    def the_holder_is_the_models(self) -> None:
        for field in FIELDS:
            lock, lease = self.table.of_task(TASK).get(field), self._live(field)
            holder = None if lock is None else lock.held_by(self.now)
            assert holder == (None if lease is None else HOLDERS[lease.session])

    def _granted(self, field: str, session: str, attempt: Attempt) -> None:
        token = attempt.lock.token
        assert token > max(self.highest.values(), default=0), "tokens rise"
        self.highest[field] = token
        self.believed[session, field] = token
        self.leases[field] = Lease(session, token, self.now)
        self._hear(attempt.changes)

    def _writes(self, field: str, user: str, tokens: dict[str, int]) -> bool:
        intent = WriteIntent(TASK, frozenset({field}), user, tokens)
        return judge(self.table.of_task(TASK), intent, LockMode.ENFORCED, self.now).allowed

    def _live(self, field: str) -> Lease | None:
        lease = self.leases.get(field)
        return lease if lease is not None and self.now < lease.until else None

    def _mine(self, session: str) -> list[Lease]:
        return [lease for field in FIELDS if (lease := self._live(field)) is not None and lease.session == session]

    def _hear(self, changes: list[LockChange] | tuple[LockChange, ...]) -> None:
        """Subscribers see a lock begin and end by turns: never two holders of a field at once."""
        for change in changes:
            if change.ended is None:
                assert change.field_name not in self.shown
                self.shown[change.field_name] = change.token
            else:
                assert self.shown.pop(change.field_name) == change.token


TestLocksHold = LockMachine.TestCase
TestLocksHold.settings = settings(max_examples=examples(200), stateful_step_count=40, deadline=None, derandomize=True)
