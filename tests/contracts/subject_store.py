"""The contract of every care store, continued: what is kept beside tasks. A subclass gives the ``store`` fixture."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from channels.notifications import TaskAssigned
from channels.relations import Operation, Relation, RelationChange
from channels.services.commits import commit_of_member, commit_of_record
from channels.stores.port import (
    CareStore,
    RelationsTrimmedError,
)
from channels.stores.records import (
    Commit,
    FeatureSwitch,
    Team,
)
from channels.subjects import Member, MemberContacted, NoteAdded, ServiceRequest
from channels.tasks.changes import assigned
from tests.contracts.task_store import drained, reply
from tests.support.care import MIKE, SARAH, Story, at, new_task


class SubjectStoreContract:
    """Members, service requests, people, feeds, notifications, relations, switches."""

    async def test_a_renamed_member_is_renamed_in_their_tasks(self, store: CareStore) -> None:
        member = Member(id="A123456", name="John Doe", team_id="team_1")
        await store.commit(commit_of_member(None, member))
        task = new_task()
        await store.commit(Story().create(task))
        renamed = msgspec.structs.replace(member, name="John Roe")
        await store.commit(commit_of_member(member, renamed))
        assert await store.member("A123456") == renamed
        assert await store.task(task.id) == msgspec.structs.replace(task, member_name="John Roe")
        assert await store.members(after="", limit=10) == [renamed]
        assert await store.members(after="A123456", limit=10) == []

    async def test_service_requests_users_and_teams_are_kept(self, store: CareStore) -> None:
        request = ServiceRequest(id="sr_1", name="Ride to clinic", member_id="A123456")
        team = Team(id="team_1", name="East")
        await store.commit(Commit(service_requests=(request,), users=(SARAH, MIKE), teams=(team,)))
        closed = msgspec.structs.replace(request, status="closed")
        await store.commit(Commit(service_requests=(closed,)))
        assert await store.service_request("sr_1") == closed
        assert await store.service_requests("A123456", after="", limit=10) == [closed]
        assert await store.user("cc_456") == SARAH
        assert await store.user("cc_0") is None
        assert await store.teams() == [team]

    async def test_notes_and_contacts_are_kept_and_fed(self, store: CareStore) -> None:
        note = NoteAdded(
            id="note_1", subject_type="member", subject_id="A123456", name="John Doe", member_id="A123456",
            text="Member confirmed", by=MIKE, at=at(1), team_id="team_1",
        )  # fmt: skip
        contact = MemberContacted(
            id="contact_1", member_id="A123456", name="John Doe", method="phone", outcome="reached",
            by=SARAH, at=at(2), team_id="team_1",
        )  # fmt: skip
        await store.commit(commit_of_record(note))
        await store.commit(commit_of_record(contact))
        assert await store.records("member", "A123456", limit=10) == [contact, note]
        assert await types_of(store) == ["member_contacted", "note_added"]
        assert await drained(store) == ["note_added", "member_contacted"]

    async def test_a_feed_is_read_from_the_top_by_pages_and_types(self, store: CareStore) -> None:
        story = Story()
        task = new_task()
        await store.commit(story.create(task))
        for number in range(3):
            task, commit = story.edit(task, f"notes {number}")
            await store.commit(commit)
        page = await store.activity("team_1", types=(), before=None, limit=3)
        rest = await store.activity("team_1", types=(), before=page[-1].id, limit=3)
        assert [each.type for each in (*page, *rest)] == [*["task_updated"] * 3, "task_created"]
        created = await store.activity("team_1", types=frozenset({"task_created"}), before=page[0].id, limit=3)
        assert created == rest
        assert len(await store.activity("team_1", types=("task_created", "note_added"), before=None, limit=9)) == 1
        assert await store.activity("team_2", types=(), before=None, limit=9) == []
        assert await store.activity("team_2", types=(), before=page[0].id, limit=9) == []
        assert await store.activity("team_1", types=(), before="activity_none", limit=9) == []

    async def test_notifications_are_counted_and_read(self, store: CareStore) -> None:
        story = Story()
        for number in range(3):
            await store.commit(story.create(new_task(f"task_{number}", assignee=MIKE)))
        await store.commit(story.create(new_task("task_own", assignee=SARAH)))
        await drained(store)
        assert await store.unread_count("cc_789") == 3
        newest = await notified(store)
        read = await store.mark_read(
            "cc_789", [newest[0].notification_id, "notification_0"], event_id="read_1", at=at(9)
        )
        assert read.notification_ids == (newest[0].notification_id,)
        assert (read.unread_count, await store.unread_count("cc_789")) == (2, 2)
        assert [each.read for each in await notified(store)] == [True, False, False]
        assert len(await store.notifications("cc_789", unread=True, before=None, limit=9)) == 2
        below = await store.notifications("cc_789", unread=True, before=newest[1].notification_id, limit=9)
        assert [each.notification_id for each in below] == [newest[2].notification_id]
        everything = await store.mark_read("cc_789", None, event_id="read_2", at=at(10))
        assert everything.unread_count == 0
        assert await drained(store) == ["notification.read"] * 2

    async def test_nobody_marks_anothers_notification(self, store: CareStore) -> None:
        await store.commit(Story().create(new_task(assignee=MIKE)))
        await drained(store)
        [notification] = await notified(store)
        await store.mark_read("cc_456", [notification.notification_id], event_id="read_1", at=at(9))
        assert await store.unread_count("cc_789") == 1
        assert await drained(store) == []

    async def test_relations_follow_the_tasks_and_can_be_followed(self, store: CareStore) -> None:
        task = new_task(assignee=SARAH)
        story = Story()
        await store.commit(story.create(task))
        revision, relations = await store.snapshot()
        assert set(relations) == {
            Relation("task", task.id, "assignee", "user", "cc_456"),
            Relation("task", task.id, "member", "member", "A123456"),
            Relation("task", task.id, "team", "team", "team_1"),
        }
        changes = store.changes(revision)
        waiting = asyncio.ensure_future(anext(changes))
        await store.commit(story.change(task, assigned(task, MIKE, reason=None, by=SARAH, at=at(1))))
        told: Sequence[RelationChange] = await asyncio.wait_for(waiting, 5)
        assert [(each.operation, each.relation.subject_id) for each in told] == [
            (Operation.DELETE, "cc_456"),
            (Operation.TOUCH, "cc_789"),
        ]
        assert all(each.revision > revision for each in told)
        await changes.aclose()  # type: ignore[attr-defined]  # an async generator in every adapter
        assert Relation("task", task.id, "assignee", "user", "cc_456") not in (await store.snapshot())[1]

    async def test_trimmed_changes_are_told_to_be_gone(self, store: CareStore) -> None:
        story = Story()
        for number in range(3):
            await store.commit(story.create(new_task(f"task_{number}")))
        await store.purge(at(0), relation_changes_kept=2)
        with pytest.raises(RelationsTrimmedError):
            await anext(store.changes(0))

    async def test_old_replies_and_inbox_entries_are_forgotten(self, store: CareStore) -> None:
        await store.commit(Commit(reply=reply("old")))
        await store.commit(Commit(reply=msgspec.structs.replace(reply("new"), stored_at=at(100))))
        await store.purge(at(50), relation_changes_kept=100)
        assert await store.reply("cc_456", "old") is None
        assert await store.reply("cc_456", "new") is not None

    async def test_switches_are_replaced_and_signalled(self, store: CareStore) -> None:
        seen = store.signals.switches.count
        switch = FeatureSwitch(name="presence", percentage=10, teams=("team_1",), changed_at=at(0))
        await store.commit(Commit(switches=(switch,)))
        wider = msgspec.structs.replace(switch, percentage=100, teams=())
        await store.commit(Commit(switches=(wider,)))
        assert await store.switches() == [wider]
        assert store.signals.switches.count > seen


async def types_of(store: CareStore) -> list[str]:
    feed = await store.activity("team_1", types=(), before=None, limit=10)
    return [each.type for each in feed]


async def notified(store: CareStore) -> list[TaskAssigned]:
    return list(await store.notifications("cc_789", unread=False, before=None, limit=10))
