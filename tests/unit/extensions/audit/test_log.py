"""The log before the disk: it slows, it does not drop."""

import asyncio
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from channels.policy import Principal
from channels.presence.model import Person
from channels.services.caller import Caller
from channels.tasks.model import User
from extensions.audit.auditor import Auditor
from extensions.audit.log import AuditLog
from extensions.audit.segments import Segments, segment_paths, verify
from extensions.presence.service import TakeOver


class SlowSegments(Segments):
    """Waits before each sync until a test lets it; syncs and writes may fail first."""

    def __init__(self, folder: Path, max_segment_bytes: int = 10_000) -> None:
        super().__init__(folder, None, max_segment_bytes=max_segment_bytes)
        self.gate = threading.Event()
        self.failing_syncs = 0
        self.failing_writes = 0
        self.syncs = 0

    def write(self, event: Mapping[str, Any]) -> None:
        if self.failing_writes:
            self.failing_writes -= 1
            raise OSError(28, "No space left on device")
        super().write(event)

    def sync(self) -> None:
        self.gate.wait(10)
        if self.failing_syncs:
            self.failing_syncs -= 1
            raise OSError(5, "Input/output error")
        self.syncs += 1
        super().sync()


def _records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line)["event"] for path in segment_paths(folder) for line in path.read_bytes().splitlines()]


class TestLog:
    async def test_what_was_taken_is_written_before_anything_waits(self, tmp_path: Path) -> None:
        """So that it outlives the process, while the disk is still busy."""
        segments = SlowSegments(tmp_path)
        log = AuditLog(segments, max_queue=100)
        await log.start()
        assert log.offer({"n": 1})
        assert [event["n"] for event in _records(tmp_path)] == [1]
        assert log.written == 0
        segments.gate.set()
        await log.stop()
        assert log.written == 1

    async def test_nothing_is_taken_before_the_start(self, tmp_path: Path) -> None:
        log = AuditLog(Segments(tmp_path, None, max_segment_bytes=10_000), max_queue=100)
        late = asyncio.ensure_future(log.put({"n": 1}))
        await asyncio.sleep(0)
        assert log.unready() == "not started"
        assert not late.done()
        await log.start()
        await late
        await log.stop()
        assert len(_records(tmp_path)) == 1

    async def test_a_disk_that_lags_makes_wait_and_drops_nothing(self, tmp_path: Path) -> None:
        segments = SlowSegments(tmp_path)
        log = AuditLog(segments, max_queue=3)
        await log.start()
        assert [log.offer({"n": number}) for number in range(4)] == [True, True, True, False]
        late = [asyncio.ensure_future(log.put({"n": number})) for number in range(3, 10)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in late)
        segments.gate.set()
        await asyncio.gather(*late)
        await log.stop()
        assert [event["n"] for event in _records(tmp_path)] == list(range(10))
        assert verify(tmp_path, None).broken is None
        assert log.written == 10

    async def test_what_comes_during_a_sync_is_synced_together(self, tmp_path: Path) -> None:
        segments = SlowSegments(tmp_path)
        log = AuditLog(segments, max_queue=100)
        await log.start()
        log.offer({"n": 0})
        await asyncio.sleep(0)
        for number in range(1, 50):
            log.offer({"n": number})
        segments.gate.set()
        await log.stop()
        assert log.written == 50
        assert segments.syncs <= 2

    async def test_a_full_file_is_turned_and_the_chain_goes_on(self, tmp_path: Path) -> None:
        log = AuditLog(Segments(tmp_path, None, max_segment_bytes=500), max_queue=100)
        await log.start()
        for number in range(20):
            await log.put({"n": number})
        await log.stop()
        assert len(segment_paths(tmp_path)) > 2
        assert verify(tmp_path, None).records == 20

    @pytest.mark.parametrize("failing", ["failing_writes", "failing_syncs"])
    async def test_a_disk_that_fails_is_told_and_waited_out(self, tmp_path: Path, failing: str) -> None:
        segments = SlowSegments(tmp_path)
        setattr(segments, failing, 2)
        log = AuditLog(segments, max_queue=100, retry_s=0)
        await log.start()
        segments.gate.set()
        await log.put({"n": 1})
        await log.flush()
        assert log.unready() is None
        await log.stop()
        assert len(_records(tmp_path)) == 1

    async def test_a_disk_that_stays_full_takes_nothing_and_lets_the_server_stop(self, tmp_path: Path) -> None:
        segments = SlowSegments(tmp_path)
        segments.failing_syncs = 1_000_000
        segments.gate.set()
        log = AuditLog(segments, max_queue=100, retry_s=0.001, stop_s=0.02)
        await log.start()
        await log.put({"n": 1})
        while log.unready() is None:  # noqa: ASYNC110 - a failure announces itself to nobody
            await asyncio.sleep(0)
        assert not log.offer({"n": 2})
        await log.stop()
        assert log.unready() == "stopped"


class TestAuditor:
    async def _recorded(self, tmp_path: Path, act: Any) -> list[dict[str, Any]]:
        log = AuditLog(Segments(tmp_path, None, max_segment_bytes=10_000), max_queue=100)
        await log.start()
        result = act(Auditor(log, "node-1", lambda: 1_700_000_000.0))
        if result is not None:
            await result
        await log.stop()
        return _records(tmp_path)

    async def test_a_disclosure_says_who_whose_when_where_and_why(self, tmp_path: Path) -> None:
        event = {"type": "task.updated", "event_id": "e1", "task_id": "t1", "task": {"id": "t1", "member_id": "A1"}}
        (record,) = await self._recorded(tmp_path, lambda auditor: auditor.delivered(["cc", "dd"], event, "live"))
        assert record["resourceType"] == "AuditEvent"
        assert (record["action"], record["outcome"], record["recorded"]) == ("R", "0", "2023-11-14T22:13:20.000Z")
        assert [agent["who"]["identifier"]["value"] for agent in record["agent"]] == ["cc", "dd"]
        assert record["agent"][0]["policy"] == ["view_phi@member:A1", "view@task:t1"]
        assert [entity["what"]["identifier"]["value"] for entity in record["entity"]] == ["A1", "t1"]
        assert {"type": "event_id", "valueString": "e1"} in record["entity"][0]["detail"]

    async def test_nothing_of_the_content_is_recorded(self, tmp_path: Path) -> None:
        document = {"id": "t1", "member_id": "A1", "member_name": "John Doe", "notes": "Called", "title": "Contact"}
        caller = Caller(User("cc", "Sarah", "care_coordinator"), Principal("cc"))
        records = await self._recorded(tmp_path, lambda auditor: auditor.shown(caller, "task", [document]))
        text = json.dumps(records)
        assert "A1" in text
        assert not any(secret in text for secret in ("John", "Called", "Contact"))

    async def test_objects_of_every_kind_say_whose_they_are(self, tmp_path: Path) -> None:
        caller = Caller(User("cc", "Sarah", "care_coordinator"), Principal("cc"))
        documents: dict[str, Mapping[str, Any]] = {
            "task": {"id": "t1", "member_id": "A1"},
            "member": {"id": "A1"},
            "conflict": {"current_task": {"id": "t1", "member_id": "A1"}},
            "notification": {"task_id": "t1", "member_id": "A1"},
        }

        async def show(auditor: Auditor) -> None:
            for kind, document in documents.items():
                await auditor.shown(caller, kind, [document])

        records = await self._recorded(tmp_path, show)
        assert {record["entity"][0]["what"]["identifier"]["value"] for record in records} == {"A1"}

    async def test_a_broken_glass_is_on_the_disk_with_its_reason_before_it_breaks(self, tmp_path: Path) -> None:
        person = Person("cc", "Sarah", "care_coordinator", None)
        take_over = TakeOver("t1", "notes", person, None, "Member in danger", 1_700_000_000.0)
        (record,) = await self._recorded(tmp_path, lambda auditor: auditor.taken_over(take_over))
        assert record["subtype"][0]["code"] == "110127"
        assert {"type": "reason", "valueString": "Member in danger"} in record["entity"][0]["detail"]

    async def test_a_revocation_is_recorded(self, tmp_path: Path) -> None:
        (record,) = await self._recorded(tmp_path, lambda auditor: auditor.revoked("cc", "member", "A1"))
        assert record["subtype"][0]["code"] == "110137"
        assert record["entity"][0]["what"]["identifier"]["value"] == "A1"
