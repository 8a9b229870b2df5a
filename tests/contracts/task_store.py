"""The contract of every :class:`channels.stores.port.CareStore`. A subclass gives the ``store`` fixture, started."""

import asyncio

import msgspec
import pytest

from channels.services.commits import commit_of_change, commit_of_event
from channels.stores.port import (
    CareStore,
    EventKnownError,
    ReplyExistsError,
    VersionMismatchError,
)
from channels.stores.queries import sort_value
from channels.stores.records import (
    After,
    Commit,
    Conflict,
    Kept,
    Resolved,
    StoredReply,
    TaskQuery,
)
from channels.tasks.changes import TaskChanges, assigned, deleted, updated
from channels.tasks.conflict import Resolution
from channels.tasks.events import event_of
from channels.tasks.model import Priority, Task, TaskStatus
from tests.support.care import MIKE, SARAH, Story, at, new_task


def reply(key: str = "key_1", body_hash: str = "hash") -> StoredReply:
    return StoredReply(actor="cc_456", key=key, body_hash=body_hash, status=201, body="{}", stored_at=at(0))


async def drained(store: CareStore) -> list[str]:
    """Types of the events that wait, which are taken out."""
    async with store.outbox_batch(100) as batch:
        await batch.mark_sent([entry.seq for entry in batch.entries])
        return [entry.event.type for entry in batch.entries]


class TaskStoreContract:
    @pytest.fixture
    def story(self) -> Story:
        return Story()

    async def test_a_task_comes_back_as_it_was_written(self, store: CareStore, story: Story) -> None:
        task = new_task(assignee=MIKE, notes="café\n“quoted”", due_date="2025-11-15", priority=Priority.HIGH)
        await store.commit(story.create(task))
        assert await store.task(task.id) == task
        assert await store.task("task_0") is None

    async def test_a_change_is_taken_only_at_the_expected_version(self, store: CareStore, story: Story) -> None:
        task = new_task()
        await store.commit(story.create(task))
        mine, my_commit = story.edit(task, "mine")
        _, their_commit = story.edit(task, "theirs")
        await store.commit(my_commit)
        with pytest.raises(VersionMismatchError):
            await store.commit(their_commit)
        assert await store.task(task.id) == mine

    async def test_of_a_refused_commit_nothing_is_written(self, store: CareStore, story: Story) -> None:
        task = new_task()
        await store.commit(story.create(task))
        await drained(store)
        stale = assigned(msgspec.structs.replace(task, version=7), MIKE, reason=None, by=SARAH, at=at(1))
        with pytest.raises(VersionMismatchError):
            await store.commit(
                msgspec.structs.replace(
                    story.change(msgspec.structs.replace(task, version=7), stale),
                    reply=reply(),
                    conflict=conflict(),
                )
            )
        assert await drained(store) == []
        assert await store.unread_count(MIKE.user_id) == 0
        assert len(await store.activity("team_1", types=(), before=None, limit=10)) == 1
        assert len(await store.task_versions(task.id, before=None, limit=10)) == 1
        assert await store.reply("cc_456", "key_1") is None
        assert await store.conflict("conflict_1") is None

    async def test_a_task_is_not_created_over_another(self, store: CareStore, story: Story) -> None:
        task = new_task()
        await store.commit(story.create(task))
        with pytest.raises(VersionMismatchError):
            await store.commit(story.create(msgspec.structs.replace(task, title="Another")))
        assert await store.task(task.id) == task

    async def test_a_task_that_is_not_there_is_not_changed(self, store: CareStore, story: Story) -> None:
        with pytest.raises(VersionMismatchError):
            await store.commit(story.edit(new_task(), "lost")[1])

    async def test_of_many_that_change_one_version_one_wins(self, store: CareStore, story: Story) -> None:
        task = new_task()
        await store.commit(story.create(task))
        edits = [story.edit(task, f"notes {number}") for number in range(20)]
        outcomes = await asyncio.gather(*(store.commit(each) for _, each in edits), return_exceptions=True)
        winners = [after for (after, _), outcome in zip(edits, outcomes, strict=True) if outcome is None]
        assert [type(outcome) for outcome in outcomes if outcome is not None] == [VersionMismatchError] * 19
        assert [await store.task(task.id)] == winners

    async def test_every_version_is_kept(self, store: CareStore, story: Story) -> None:
        task = new_task()
        await store.commit(story.create(task))
        second, commit = story.edit(task, "called", by=MIKE)
        await store.commit(commit)
        newest, first = await store.task_versions(task.id, before=None, limit=10)
        assert (newest.version, newest.values, newest.changed_by) == (2, second, MIKE)
        assert (newest.changed_fields, newest.type) == (("notes",), "task.updated")
        assert first.values == task
        assert await store.task_version(task.id, 1) == first
        assert await store.task_version(task.id, 3) is None
        assert await store.task_versions(task.id, before=2, limit=10) == [first]

    async def test_the_events_of_a_change_wait_in_the_outbox_in_order(self, store: CareStore, story: Story) -> None:
        task = new_task(assignee=MIKE)
        await store.commit(story.create(task))
        await store.commit(story.edit(task, "x")[1])
        backlog = await store.backlog()
        assert (backlog.count, backlog.oldest_at) == (5, at(0))
        async with store.outbox_batch(2) as batch:
            assert [entry.event.type for entry in batch.entries] == ["task.created", "task_created"]
            assert {entry.event.key for entry in batch.entries} == {task.id}
            assert msgspec.json.decode(batch.entries[0].event.payload)["task"]["title"] == task.title
            await batch.mark_sent([batch.entries[0].seq])
        assert await drained(store) == ["task_created", "notification.task_assigned", "task.updated", "task_updated"]
        assert await drained(store) == []

    async def test_while_one_relay_has_a_batch_another_gets_nothing(self, store: CareStore, story: Story) -> None:
        await store.commit(story.create(new_task()))
        order: list[str] = []

        async def second() -> None:
            async with store.outbox_batch(10) as batch:
                order.append(f"second {len(batch.entries)}")

        async with store.outbox_batch(10) as batch:
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0)
            await batch.mark_sent([entry.seq for entry in batch.entries])
            order.append(f"first {len(batch.entries)}")
            await asyncio.sleep(0)
        await waiting
        assert sorted(order) == ["first 2", "second 0"]

    async def test_a_commit_wakes_who_waits_for_events(self, store: CareStore, story: Story) -> None:
        seen = store.signals.outbox.count
        waiting = asyncio.create_task(store.signals.outbox.wait(seen, 60))
        await store.commit(story.create(new_task()))
        await asyncio.wait_for(waiting, 5)

    async def test_an_idempotency_key_is_taken_once_per_actor(self, store: CareStore, story: Story) -> None:
        first = msgspec.structs.replace(story.create(new_task("task_1")), reply=reply())
        await store.commit(first)
        with pytest.raises(ReplyExistsError):
            await store.commit(msgspec.structs.replace(story.create(new_task("task_2")), reply=reply(body_hash="x")))
        assert await store.task("task_2") is None
        assert await store.reply("cc_456", "key_1") == reply()
        assert await store.reply("cc_789", "key_1") is None

    async def test_an_event_from_outside_has_its_effect_once(self, store: CareStore) -> None:
        task = new_task()
        event = event_of(None, task, event_id="foreign_1", by=SARAH)
        commit = commit_of_event(None, task, event, seen_at=at(5))
        await store.commit(commit)
        assert await store.knows_event("foreign_1")
        with pytest.raises(EventKnownError):
            await store.commit(msgspec.structs.replace(commit, write=None, version=None))
        assert await drained(store) == ["task_created"]
        assert await store.highest_version(task.id) == 1

    async def test_the_highest_version_counts_tasks_heard_of_only(self, store: CareStore, story: Story) -> None:
        task = msgspec.structs.replace(new_task("task_far"), version=9)
        await store.commit(commit_of_event(None, None, event_of(None, task, event_id="f", by=SARAH), seen_at=at(5)))
        assert await store.highest_version("task_far") == 9
        assert await store.highest_version("task_0") == 0
        assert not await store.knows_event("ev_1")
        await store.commit(story.create(new_task()))
        assert await store.knows_event("ev_1")

    async def test_a_conflict_is_resolved_once(self, store: CareStore) -> None:
        await store.commit(Commit(conflict=conflict()))
        for number, resolution in enumerate((Resolution.MERGE, Resolution.KEEP_MINE)):
            resolved = Resolved(conflict_id="conflict_1", resolution=resolution, resolved_at=at(number))
            await store.commit(Commit(resolved=resolved))
        expected = msgspec.structs.replace(conflict(), resolution=Resolution.MERGE, resolved_at=at(0))
        assert await store.conflict("conflict_1") == expected

    async def test_a_version_that_was_kept_over_anothers_changes_shows_it(self, store: CareStore, story: Story) -> None:
        task = new_task()
        await store.commit(story.create(task))
        task, commit = story.edit(task, "theirs")
        await store.commit(commit)
        for conflict_id, resolution in (
            ("conflict_1", Resolution.KEEP_THEIRS),
            ("conflict_2", Resolution.KEEP_MINE),
            ("conflict_3", Resolution.KEEP_THEIRS),
        ):
            told = msgspec.structs.replace(conflict(), id=conflict_id, task_id=task.id, current_version=2)
            resolved = Resolved(conflict_id=conflict_id, resolution=resolution, resolved_at=at(5))
            await store.commit(Commit(conflict=told))
            await store.commit(Commit(resolved=resolved))
        newest, first = await store.task_versions(task.id, before=None, limit=10)
        assert newest.kept_over == (
            Kept(conflict_id="conflict_1", user_id="cc_456", resolved_at=at(5)),
            Kept(conflict_id="conflict_3", user_id="cc_456", resolved_at=at(5)),
        )
        assert first.kept_over == ()

    async def test_a_resolution_shows_in_the_version(self, store: CareStore, story: Story) -> None:
        task = new_task()
        await store.commit(story.create(task))
        after = updated(task, TaskChanges(notes="both"), by=SARAH, at=at(2))
        resolved = Resolved(conflict_id="conflict_1", resolution=Resolution.MERGE, resolved_at=at(2))
        await store.commit(commit_of_change(task, after, event_id="ev_m", by=SARAH, resolved=resolved))
        version = await store.task_version(task.id, 2)
        assert version is not None
        assert (version.resolution, version.conflict_id) == ("merge", "conflict_1")


class TaskListContract:
    """Lists: filters, order, pages."""

    @pytest.fixture
    async def tasks(self, store: CareStore) -> list[Task]:
        story = Story()
        priorities = list(Priority)
        made = [
            new_task(
                f"task_{number:02}",
                assignee=(MIKE, SARAH, None)[number % 3],
                title=f"Title {number * 7 % 10}",
                priority=priorities[number % 4],
                due_date=None if number % 5 == 0 else f"2025-11-{number % 4 + 10}",
                member_id=f"A{number % 2}",
                team_id=f"team_{number % 2}",
            )
            for number in range(20)
        ]
        for task in made:
            await store.commit(story.create(task))
        gone = deleted(made[19], by=SARAH, at=at(3))
        await store.commit(story.change(made[19], gone))
        done = updated(made[18], TaskChanges(status=TaskStatus.COMPLETED), by=SARAH, at=at(4))
        await store.commit(story.change(made[18], done))
        return [*made[:18], done, gone]

    @pytest.mark.parametrize(
        "query",
        [
            TaskQuery(limit=100),
            TaskQuery(limit=100, assigned_to="cc_789"),
            TaskQuery(limit=100, member_id="A1", priority=(Priority.HIGH, Priority.URGENT)),
            TaskQuery(limit=100, team_id="team_0", status=(TaskStatus.COMPLETED,)),
            TaskQuery(limit=100, status=(TaskStatus.DELETED, TaskStatus.PENDING)),
            TaskQuery(limit=100, due_from="2025-11-11", due_to="2025-11-12"),
            TaskQuery(limit=100, due_to="2025-11-10"),
        ],
    )
    async def test_filters_choose_the_same_as_a_naive_filter(
        self, store: CareStore, tasks: list[Task], query: TaskQuery
    ) -> None:
        found = await store.tasks(query)
        assert {task.id for task in found} == {task.id for task in tasks if fits(task, query)}
        assert found

    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("sort", ["due_date", "priority", "created_at", "last_modified_at", "title"])
    async def test_pages_hold_every_task_once_in_order(
        self, store: CareStore, tasks: list[Task], sort: str, order: str
    ) -> None:
        query = msgspec.convert({"sort": sort, "order": order, "limit": 3}, TaskQuery)
        found: list[Task] = []
        while page := await store.tasks(query):
            found += page
            after = After(page[-1].id, sort_value(query, page[-1]))
            query = msgspec.structs.replace(query, after=after)
        alive = [task for task in tasks if task.status is not TaskStatus.DELETED]
        assert found == sorted(alive, key=lambda task: sort_key(task, sort), reverse=order == "desc")


def conflict() -> Conflict:
    return Conflict(
        id="conflict_1", task_id="task_789", user_id="cc_456", expected_version=1, current_version=2, detected_at=at(0)
    )


def fits(task: Task, query: TaskQuery) -> bool:
    wanted = {"assigned_to": query.assigned_to, "member_id": query.member_id, "team_id": query.team_id}
    dated = not (query.due_from or query.due_to) or (
        task.due_date is not None and (query.due_from or "0") <= task.due_date <= (query.due_to or "9")
    )
    return (
        dated
        and all(value is None or getattr(task, name) == value for name, value in wanted.items())
        and (task.status in query.status if query.status else task.status is not TaskStatus.DELETED)
        and (not query.priority or task.priority in query.priority)
    )


def sort_key(task: Task, sort: str) -> tuple[str | int, str]:
    if sort == "priority":
        return list(Priority).index(task.priority), task.id
    return getattr(task, sort) or "9999-99-99", task.id
