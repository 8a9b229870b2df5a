"""What the care benchmarks count of the bytes that arrive."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from benchmarks.care.task_sieve import TaskSieve
from benchmarks.care.world import crew
from channels.tasks.changes import TaskChanges, updated
from channels.tasks.events import event_of
from channels.views import redact
from clients.load.echo import server_frame
from clients.load.mark import Stream

TEAM = crew("east", coordinators=10, tasks=2)
TASK, BY = TEAM.tasks[0], TEAM.editors[0].user
COMMITTED_US = {2: 2_000, 3: 3_000}


def event(version: int = 2) -> dict[str, Any]:
    before = replace(TASK, version=version - 1)
    after = updated(before, TaskChanges(notes=f"notes {version}"), by=BY, at=TASK.created_at)
    document: dict[str, Any] = msgspec.to_builtins(event_of(before, after, event_id=f"ev_{version}", by=BY))
    return document


def frame(data: Mapping[str, Any], channel: str = TEAM.task_list) -> bytes:
    return server_frame(msgspec.json.encode([{"channel": channel, "data": data}]))


def made() -> TaskSieve:
    return TaskSieve(lambda _event: True, lambda change: COMMITTED_US[change[1]])


class TestTaskSieve:
    def test_an_event_is_its_streams_next_and_began_with_its_change(self) -> None:
        sieve = made()
        stream = sieve.stream(TEAM.task_list, TASK.id, full=True)

        assert sieve.scan(frame(event(2)) + frame(event(3))) == [(stream, 0, 2_000), (stream, 1, 3_000)]

    def test_each_view_of_an_event_is_a_stream_of_its_own(self) -> None:
        sieve = made()
        full, redacted = (sieve.stream(TEAM.task_list, TASK.id, full=is_full) for is_full in (True, False))
        whole = event()

        assert sieve.scan(frame(whole)) == [(full, 0, 2_000)]
        assert sieve.scan(frame(redact(whole["type"], whole))) == [(redacted, 0, 2_000)]

    def test_each_channel_is_a_stream_of_its_own(self) -> None:
        sieve = made()
        streams = [sieve.stream(name, TASK.id, full=True) for name in (TEAM.task_list, f"/task/{TASK.id}")]

        marks = sieve.scan(frame(event()) + frame(event(), f"/task/{TASK.id}"))

        assert [stream for stream, _, _ in marks or ()] == streams

    def test_events_of_other_kinds_are_passed_over(self) -> None:
        sieve = made()
        feed = {"id": "a_1", "event_id": "a_1", "type": "task_updated", "subject": {"type": "task", "id": TASK.id}}

        assert sieve.scan(frame(feed, "/activity_feed/east")) == []

    def test_plain_messages_are_found_by_their_marks(self) -> None:
        plain = Stream(0, "/load/plain", 0)
        plain.prepare("secret", 80)
        data = json.loads(plain.message(1_000))["data"]

        assert made().scan(frame(data, plain.channel)) == [(0, 0, 1_000)]

    def test_replies_are_left_to_be_read_whole(self) -> None:
        reply = {"channel": "/meta/connect", "successful": True}

        assert made().scan(server_frame(msgspec.json.encode([reply]))) is None
        assert made().take(msgspec.json.encode([reply])) == ([], [reply])

    def test_as_many_events_were_sent_as_the_task_has_changes(self) -> None:
        sieve = made()
        stream = sieve.stream(TEAM.task_list, TASK.id, full=True)

        assert sieve.sent({TASK.id: 1}) == {stream: 0}
        assert sieve.sent({TASK.id: 4}) == {stream: 3}
