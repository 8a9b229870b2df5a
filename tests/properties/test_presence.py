"""Presence as a state machine against a naive model: whatever happens in whatever order, it never lies."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from channels.presence.events import PresenceChange, StateChanged, Typing, UserJoined, UserLeft
from channels.presence.model import Person, PresenceState, PresenceTimes, Touch
from channels.presence.table import PresenceTable
from tests.support.examples import examples

TIMES = PresenceTimes()
BORN_MS = 1_763_028_000_000
TASKS = ("task_1", "task_2")
#: Sessions of two people: one with three tabs, one with a single tab.
SESSIONS = {"a1": "ann", "a2": "ann", "a3": "ann", "b1": "bob"}
#: What passes before a deed, the timer being punctual.
waits = st.sampled_from([0, 1, 50, 4_000, 8_001, 11_999, 12_000])


class Tab:
    """The naive model of one session on one task: the facts, in milliseconds."""

    def __init__(self) -> None:
        self.touched: int | None = None
        self.lost: int | None = None
        self.state = PresenceState.VIEWING
        self.typed: int | None = None

    def ends(self) -> int:
        """When the presence ends by the promises made in the design."""
        assert self.touched is not None
        ends = self.touched + TIMES.lease_ms
        return ends if self.lost is None else min(ends, self.lost + TIMES.grace_ms)

    def alive(self, now: int) -> bool:
        return self.touched is not None and now < self.ends()

    def seen(self, now: int) -> PresenceState:
        typing = self.typed is not None and now < self.typed + TIMES.typing_ms
        return PresenceState.TYPING if typing else self.state


class PresenceMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.table = PresenceTable(TIMES)
        self.now = BORN_MS
        self.tabs = {(task, session): Tab() for task in TASKS for session in SESSIONS}
        self.told: dict[str, dict[str, PresenceState]] = {task: {} for task in TASKS}
        self.versions: dict[str, int] = {}

    # What people and networks do

    @rule(task=st.sampled_from(TASKS), session=st.sampled_from(sorted(SESSIONS)), state=st.sampled_from(PresenceState))
    def act(self, task: str, session: str, state: PresenceState) -> None:
        field = "notes" if state is PresenceState.TYPING else None
        self._touch(task, session, state, field)
        tab = self._renewed(task, session)
        if state is PresenceState.TYPING:
            tab.state, tab.typed = PresenceState.EDITING, self.now
        else:
            tab.state, tab.typed = state, None

    @rule(task=st.sampled_from(TASKS), session=st.sampled_from(sorted(SESSIONS)), wait=waits)
    def heartbeat(self, task: str, session: str, wait: int) -> None:
        self._pass(wait)
        self._touch(task, session, None, None)
        self._renewed(task, session)

    @rule(task=st.sampled_from(TASKS), session=st.sampled_from(sorted(SESSIONS)))
    def leave(self, task: str, session: str) -> None:
        self.table.leave(task, session, self.now)
        self.tabs[task, session] = Tab()

    @rule(session=st.sampled_from(sorted(SESSIONS)))
    def disconnect(self, session: str) -> None:
        self.table.leave_all(session, self.now)
        for task in TASKS:
            self.tabs[task, session] = Tab()

    @rule(session=st.sampled_from(sorted(SESSIONS)), wait=waits)
    def lose_connection(self, session: str, wait: int) -> None:
        self._pass(wait)
        self.table.lose(session, self.now)
        for task in TASKS:
            tab = self.tabs[task, session]
            if tab.lost is None:
                tab.lost = self.now

    @rule(session=st.sampled_from(sorted(SESSIONS)), wait=waits)
    def come_back(self, session: str, wait: int) -> None:
        self._pass(wait)
        alive = [tab for task in TASKS if (tab := self.tabs[task, session]).alive(self.now)]
        assert self.table.resume(session, self.now) == len(alive)
        for tab in alive:
            tab.lost = None

    @rule(session=st.sampled_from(sorted(SESSIONS)), first=waits, second=waits)
    def lose_it_twice(self, session: str, first: int, second: int) -> None:
        """A connection that comes and goes unseen has one grace time, from the first loss."""
        self.lose_connection(session, wait=0)
        self.lose_connection(session, wait=first)
        self.come_back(session, wait=second)

    # How time passes

    @rule(
        span=st.one_of(st.integers(1, 250), st.sampled_from([4_999, 5_000, 11_999, 12_000, 30_000, 299_999, 300_000]))
    )
    def time_passes_with_a_punctual_timer(self, span: int) -> None:
        self._pass(span)

    @rule(span=st.integers(1, 20_000))
    def time_passes_with_a_late_sweep(self, span: int) -> None:
        self.now += span
        self._flush()

    @rule()
    def all_falls_quiet(self) -> None:
        """Once nothing changed for a window, what was told is what is true: no ghost, and nobody missing."""
        while (due := self.table.next_due_ms) is not None and due <= self.now + TIMES.window_ms:
            self.now = max(self.now, due)
            self._flush()
        for task in TASKS:
            assert self.told[task] == self._truth(task)

    @rule()
    def everybody_dies(self) -> None:
        """After a lease and a sweep nobody is told of whom nobody heard."""
        self.now += TIMES.lease_ms
        self._flush()
        self.now += TIMES.window_ms
        self._flush()
        assert self.told == {task: {} for task in TASKS}

    @invariant()
    def a_snapshot_is_the_sum_of_the_events(self) -> None:
        for task in TASKS:
            snapshot = self.table.snapshot(task, self.now)
            assert {user.user_id: user.state for user in snapshot.users or ()} == self.told[task]
            assert snapshot.version == self.versions.setdefault(task, snapshot.version)

    def _touch(self, task: str, session: str, state: PresenceState | None, field: str | None) -> None:
        user = SESSIONS[session]
        person = Person(user, user.title(), "care_coordinator")
        self.table.touch(Touch(task, session, person, state, field), self.now)

    def _renewed(self, task: str, session: str) -> Tab:
        tab = self.tabs[task, session]
        if not tab.alive(self.now):
            tab = self.tabs[task, session] = Tab()
        tab.touched, tab.lost = self.now, None
        return tab

    def _truth(self, task: str) -> dict[str, PresenceState]:
        truth: dict[str, PresenceState] = {}
        for session, user in SESSIONS.items():
            tab = self.tabs[task, session]
            if tab.alive(self.now):
                truth[user] = max(truth.get(user, PresenceState.VIEWING), tab.seen(self.now), key=lambda s: s.strength)
        return truth

    def _pass(self, span: int) -> None:
        until = self.now + span
        while (due := self.table.next_due_ms) is not None and due <= until:
            self.now = max(self.now, due)
            self._flush()
        self.now = until

    def _flush(self) -> None:
        for event in self.table.flush(self.now):
            self._hear(event)

    def _hear(self, event: PresenceChange) -> None:
        assert isinstance(event, UserJoined | UserLeft | StateChanged | Typing)
        assert event.version == self.versions[event.task_id] + 1, "a hole in the versions"
        self.versions[event.task_id] = event.version
        told, truth = self.told[event.task_id], self._truth(event.task_id)
        if isinstance(event, UserJoined):
            assert event.user.user_id not in told, "joined twice"
            told[event.user.user_id] = event.user.state
        elif isinstance(event, UserLeft):
            assert event.user_id not in truth, "a false leave"
            del told[event.user_id]
        elif isinstance(event, StateChanged):
            assert told[event.user_id] is event.old_state is not event.new_state
            told[event.user_id] = event.new_state
        else:
            assert told[event.user_id] is PresenceState.TYPING


TestPresenceNeverLies = PresenceMachine.TestCase
TestPresenceNeverLies.settings = settings(
    max_examples=examples(200), stateful_step_count=40, deadline=None, derandomize=True
)
