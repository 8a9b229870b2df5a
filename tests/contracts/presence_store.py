"""The contract of every :class:`channels.presence.store.PresenceStore`: the same commands, the same events.

A subclass gives the ``store`` fixture, made with ``TIMES``. Time is the test's: ``at(seconds)``.
"""

from collections.abc import Sequence

import msgspec
import pytest

from channels.presence.events import (
    Counts,
    CountsChanged,
    PresenceChange,
    Snapshot,
    StateChanged,
    Typing,
    UserJoined,
    UserLeft,
    iso,
)
from channels.presence.model import (
    CursorPosition,
    Person,
    PresenceLimitReached,
    PresenceState,
    PresenceTimes,
    Touch,
)
from channels.presence.store import PresenceStore

TIMES = PresenceTimes(crowd=3, tasks_per_session=3)
BORN_S = 1_763_028_000.0
SARAH = Person("cc_456", "Sarah Jöhnson", "care_coordinator", "https://cdn.example/avatars/cc_456.jpg")
MIKE = Person("cc_789", "Mike Chen", "clinician")
VIEWING, EDITING, TYPING = PresenceState


def at(seconds: float) -> float:
    return BORN_S + seconds


def touch(
    person: Person = SARAH,
    session: str = "s1",
    state: PresenceState | None = None,
    field: str | None = None,
    cursor: CursorPosition | None = None,
    task: str = "task_1",
) -> Touch:
    return Touch(task, session, person, state, field, cursor)


def told(events: Sequence[PresenceChange]) -> list[tuple[object, ...]]:
    """Return events as short tuples, without ids and times."""
    found: list[tuple[object, ...]] = []
    for event in events:
        match event:
            case UserJoined(user=user):
                found.append(("joined", user.user_id, user.state))
            case UserLeft(user_id=user_id):
                found.append(("left", user_id))
            case StateChanged(user_id=user_id, old_state=old, new_state=new):
                found.append(("state", user_id, old, new))
            case Typing(user_id=user_id, field_name=name):
                found.append(("typing", user_id, name))
            case CountsChanged(counts=counts):
                found.append(("counts", counts.viewing, counts.editing, counts.typing))
            case Snapshot(users=users):
                found.append(("snapshot", tuple(user.user_id for user in users or ())))
            case _:
                raise AssertionError(event)
    return found


class PresenceStoreContract:
    @pytest.fixture
    def store(self) -> PresenceStore:
        raise NotImplementedError

    async def flushed(self, store: PresenceStore, seconds: float) -> list[tuple[object, ...]]:
        return told((await store.flush(at(seconds))).events)

    async def test_a_join_is_told_when_its_window_closes_and_not_before(self, store: PresenceStore) -> None:
        due_in_s = await store.touch(touch(state=VIEWING), at(0))
        assert due_in_s == pytest.approx(0.1)
        assert await self.flushed(store, 0.099) == []
        flushed = await store.flush(at(0.1))
        assert told(flushed.events) == [("joined", "cc_456", VIEWING)]
        assert flushed.due_in_s == pytest.approx(299.9)

    async def test_a_joins_event_has_every_field_of_the_design(self, store: PresenceStore) -> None:
        await store.touch(touch(state=VIEWING), at(0))
        (event,) = (await store.flush(at(0.1))).events
        assert isinstance(event, UserJoined)
        assert event.task_id == "task_1"
        assert event.user.user_name == "Sarah Jöhnson"
        assert event.user.user_role == "care_coordinator"
        assert event.user.avatar_url == "https://cdn.example/avatars/cc_456.jpg"
        assert event.timestamp == iso(round(at(0.1) * 1000))
        assert event.event_id == f"presence-task_1-{event.version}"

    async def test_a_join_and_a_leave_in_one_window_cancel_out(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.leave("task_1", "s1", at(0.05))
        assert await self.flushed(store, 0.2) == []

    async def test_a_leave_and_a_join_in_one_window_cancel_out(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        await store.leave("task_1", "s1", at(2))
        await store.touch(touch(session="s2"), at(2.05))
        assert await self.flushed(store, 3) == []

    async def test_a_leave_is_told_once(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        await store.leave("task_1", "s1", at(2))
        await store.leave("task_1", "s1", at(2))
        assert await self.flushed(store, 2.1) == [("left", "cc_456")]
        assert await self.flushed(store, 400) == []

    async def test_renewals_are_not_told(self, store: PresenceStore) -> None:
        await store.touch(touch(state=EDITING), at(0))
        await store.flush(at(1))
        for seconds in (30, 60, 90):
            await store.touch(touch(), at(seconds))
            assert await self.flushed(store, seconds + 1) == []

    async def test_a_lease_ends_300_s_after_the_last_sign_of_life(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        await store.touch(touch(), at(30))
        assert await self.flushed(store, 329.999) == []
        assert await self.flushed(store, 330) == [("left", "cc_456")]

    async def test_a_live_person_does_not_keep_a_dead_one(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.touch(touch(MIKE, "s2"), at(0))
        await store.flush(at(1))
        await store.touch(touch(MIKE, "s2"), at(200))
        assert await self.flushed(store, 301) == [("left", "cc_456")]

    async def test_a_late_sweep_tells_at_once(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        assert await self.flushed(store, 1000) == [("left", "cc_456")]

    async def test_several_tabs_are_one_person_in_the_strongest_state(self, store: PresenceStore) -> None:
        await store.touch(touch(state=VIEWING), at(0))
        await store.touch(touch(session="s2", state=EDITING), at(0))
        await store.touch(touch(session="s3", state=VIEWING), at(0))
        assert await self.flushed(store, 1) == [("joined", "cc_456", EDITING)]
        await store.leave("task_1", "s2", at(2))
        assert await self.flushed(store, 3) == [("state", "cc_456", EDITING, VIEWING)]
        await store.leave("task_1", "s1", at(4))
        assert await self.flushed(store, 5) == []
        await store.leave("task_1", "s3", at(6))
        assert await self.flushed(store, 7) == [("left", "cc_456")]

    async def test_typing_falls_back_to_editing_5_s_after_the_last_keystroke(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        await store.touch(touch(state=TYPING, field="notes"), at(2))
        assert await self.flushed(store, 2.1) == [("state", "cc_456", VIEWING, TYPING), ("typing", "cc_456", "notes")]
        await store.touch(touch(state=TYPING, field="notes"), at(4))
        assert await self.flushed(store, 8.999) == []
        assert await self.flushed(store, 9) == [("state", "cc_456", TYPING, EDITING)]

    async def test_typing_in_another_field_is_told(self, store: PresenceStore) -> None:
        await store.touch(touch(state=TYPING, field="notes"), at(0))
        assert await self.flushed(store, 0.1) == [("joined", "cc_456", TYPING), ("typing", "cc_456", "notes")]
        await store.touch(touch(state=TYPING, field="title"), at(1))
        assert await self.flushed(store, 1.1) == [("typing", "cc_456", "title")]

    async def test_of_two_fields_typed_in_the_latest_is_told(self, store: PresenceStore) -> None:
        await store.touch(touch(session="s1", state=TYPING, field="notes"), at(0))
        await store.touch(touch(session="s2", state=TYPING, field="title"), at(0.01))
        assert await self.flushed(store, 0.1) == [("joined", "cc_456", TYPING), ("typing", "cc_456", "title")]

    async def test_a_state_ends_typing(self, store: PresenceStore) -> None:
        await store.touch(touch(state=TYPING, field="notes"), at(0))
        await store.flush(at(1))
        await store.touch(touch(state=VIEWING), at(2))
        assert await self.flushed(store, 2.1) == [("state", "cc_456", TYPING, VIEWING)]

    async def test_a_state_that_is_the_least_leaves_a_stronger_one(self, store: PresenceStore) -> None:
        least = msgspec.structs.replace(touch(state=EDITING), at_least=True)
        await store.touch(least, at(0))
        assert await self.flushed(store, 0.1) == [("joined", "cc_456", EDITING)]
        await store.touch(touch(state=TYPING, field="notes"), at(1))
        await store.touch(least, at(1.01))
        assert await self.flushed(store, 1.1) == [("state", "cc_456", EDITING, TYPING), ("typing", "cc_456", "notes")]
        assert await self.flushed(store, 5.999) == []
        assert await self.flushed(store, 6) == [("state", "cc_456", TYPING, EDITING)]

    async def test_a_connection_back_within_the_grace_time_is_not_noticed(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        assert await store.lose("s1", at(10)) == pytest.approx(12)
        assert await self.flushed(store, 21.999) == []
        assert await store.resume("s1", at(21.999)) == 1
        assert await self.flushed(store, 40) == []

    async def test_a_connection_not_back_leaves_once(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        await store.lose("s1", at(10))
        await store.lose("s1", at(20))
        assert await self.flushed(store, 21.999) == []
        assert await self.flushed(store, 22) == [("left", "cc_456")]
        assert await store.resume("s1", at(23)) == 0
        assert await self.flushed(store, 400) == []

    async def test_a_sign_of_life_ends_the_grace_time(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        await store.lose("s1", at(10))
        await store.touch(touch(), at(15))
        assert await self.flushed(store, 30) == []

    async def test_coming_back_does_not_prolong_the_lease(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        await store.lose("s1", at(290))
        assert await store.resume("s1", at(295)) == 1
        assert await self.flushed(store, 299.999) == []
        assert await self.flushed(store, 300) == [("left", "cc_456")]

    async def test_the_grace_time_counts_from_the_loss_and_not_from_when_it_was_told(
        self, store: PresenceStore
    ) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        assert await store.lose("s1", at(10), gone_for_s=1.5) == pytest.approx(10.5)
        assert await self.flushed(store, 20.499) == []
        assert await self.flushed(store, 20.5) == [("left", "cc_456")]

    async def test_what_time_brings_about_takes_along_what_waits_for_its_window(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.flush(at(1))
        await store.lose("s1", at(10))
        await store.touch(touch(MIKE, "s2"), at(21.95))
        assert await self.flushed(store, 22) == [("left", "cc_456"), ("joined", "cc_789", VIEWING)]

    async def test_a_new_session_in_the_grace_time_keeps_the_person(self, store: PresenceStore) -> None:
        await store.touch(touch(session="s1", state=EDITING), at(0))
        await store.flush(at(1))
        await store.lose("s1", at(10))
        await store.touch(touch(session="s2", state=EDITING), at(15))
        assert await self.flushed(store, 30) == []

    async def test_the_end_of_a_session_ends_it_on_all_tasks(self, store: PresenceStore) -> None:
        await store.touch(touch(task="task_1"), at(0))
        await store.touch(touch(task="task_2"), at(0))
        await store.flush(at(1))
        assert await store.leave_all("s1", at(2)) == pytest.approx(0.1)
        flushed = await store.flush(at(3))
        assert {event.task_id for event in flushed.events} == {"task_1", "task_2"}
        assert told(flushed.events) == [("left", "cc_456"), ("left", "cc_456")]

    async def test_versions_rise_by_one_for_each_event(self, store: PresenceStore) -> None:
        before = (await store.snapshot("task_1", at(0))).version
        await store.touch(touch(state=TYPING, field="notes"), at(1))
        await store.touch(touch(MIKE, "s2"), at(1))
        first = (await store.flush(at(2))).events
        taken = await store.take_version("task_1", at(3))
        await store.leave("task_1", "s2", at(4))
        second = (await store.flush(at(5))).events
        versions = [event.version for event in first]
        assert versions == [before + 1, before + 2, before + 3]
        assert taken == before + 4
        assert [event.version for event in second] == [before + 5]

    async def test_a_snapshot_holds_what_was_told_and_its_version(self, store: PresenceStore) -> None:
        empty = await store.snapshot("task_1", at(0))
        assert empty.users == ()
        await store.touch(touch(state=EDITING, cursor=CursorPosition("notes", 3)), at(1))
        assert await store.snapshot("task_1", at(1.05)) == Snapshot(
            "task_1", empty.version, Counts(0, 0, 0, 0), iso(1_763_028_001_050), f"{empty.event_id}", ()
        )
        await store.flush(at(1.1))
        await store.touch(touch(session="s2", cursor=CursorPosition("title")), at(2))
        snapshot = await store.snapshot("task_1", at(3))
        assert snapshot.version == empty.version + 1
        assert snapshot.counts == Counts(total=1, viewing=0, editing=1, typing=0)
        (info,) = snapshot.users or ()
        assert (info.user_id, info.user_name, info.state) == ("cc_456", "Sarah Jöhnson", EDITING)
        assert info.last_active == iso(1_763_028_002_000)
        assert info.cursor_position == CursorPosition("title")

    async def test_a_crowd_is_told_as_counts_and_its_end_as_a_snapshot(self, store: PresenceStore) -> None:
        people = [Person(f"u{number}", f"U {number}", "rsa") for number in range(5)]
        for person in people[:3]:
            await store.touch(touch(person, person.user_id), at(0))
        assert len(await self.flushed(store, 1)) == 3
        await store.touch(touch(people[3], "u3", EDITING), at(2))
        await store.touch(touch(people[4], "u4"), at(2))
        assert await self.flushed(store, 3) == [("counts", 4, 1, 0)]
        crowd = await store.snapshot("task_1", at(3))
        assert crowd.users is None
        assert crowd.counts.total == 5
        await store.touch(touch(people[0], "u0", EDITING), at(4))
        await store.touch(touch(people[3], "u3", VIEWING), at(4))
        assert await self.flushed(store, 5) == []
        await store.leave_all("u0", at(6))
        await store.leave_all("u1", at(6))
        flushed = await store.flush(at(7))
        assert told(flushed.events) == [("snapshot", ("u2", "u3", "u4"))]
        assert flushed.events[0].version == crowd.version + 1

    async def test_a_session_may_be_on_so_many_tasks(self, store: PresenceStore) -> None:
        for number in range(3):
            await store.touch(touch(task=f"task_{number}"), at(0))
        with pytest.raises(PresenceLimitReached):
            await store.touch(touch(task="task_3"), at(0))
        await store.touch(touch(task="task_2", state=EDITING), at(0))
        await store.leave("task_0", "s1", at(1))
        await store.touch(touch(task="task_3"), at(1))

    async def test_a_flush_takes_so_many_tasks(self, store: PresenceStore) -> None:
        for number in range(3):
            await store.touch(touch(task=f"task_{number}"), at(0))
        first = await store.flush(at(1), limit=2)
        assert len(first.events) == 2
        assert first.due_in_s == 0
        assert len((await store.flush(at(1), limit=2)).events) == 1

    async def test_an_event_is_kept_until_it_is_settled(self, store: PresenceStore) -> None:
        await store.touch(touch(), at(0))
        await store.touch(touch(MIKE, "s2"), at(0))
        events = (await store.flush(at(1))).events
        assert await store.unsettled(at(5), older_than_s=5) == []
        await store.settle([events[0].event_id])
        assert await store.unsettled(at(6), older_than_s=5) == [events[1]]
        await store.settle([events[1].event_id])
        await store.settle([])
        assert await store.unsettled(at(6), older_than_s=5) == []

    async def test_a_session_of_another_person_takes_the_place(self, store: PresenceStore) -> None:
        await store.touch(touch(SARAH, "s1"), at(0))
        await store.flush(at(1))
        await store.touch(touch(MIKE, "s1"), at(2))
        assert await self.flushed(store, 3) == [("left", "cc_456"), ("joined", "cc_789", VIEWING)]

    async def test_nobody_known_is_nobody_missed(self, store: PresenceStore) -> None:
        await store.leave("task_1", "s1", at(0))
        await store.leave_all("s1", at(0))
        await store.lose("s1", at(0))
        assert await store.resume("s1", at(0)) == 0
        assert await self.flushed(store, 1) == []
