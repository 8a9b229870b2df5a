"""Presence as subscribers get it."""

import json

import msgspec
import pytest

from channels.presence.events import (
    Counts,
    CountsChanged,
    CursorMoved,
    FieldLocked,
    FieldUnlocked,
    JoinedUser,
    LockInfo,
    PresenceEvent,
    PresenceInfo,
    Snapshot,
    StateChanged,
    Typing,
    UserJoined,
    UserLeft,
    event_id,
    iso,
)
from channels.presence.model import CursorPosition, PresenceState
from channels.schema import check
from channels.views import redact

AT = iso(1_763_028_000_000)
AVATAR = "https://cdn.example/avatars/cc_456.jpg"
SARAH = JoinedUser("cc_456", "Sarah Johnson", "care_coordinator", PresenceState.VIEWING, AVATAR)
INFO = PresenceInfo(
    "cc_456",
    "Sarah Johnson",
    "care_coordinator",
    PresenceState.TYPING,
    "task_789",
    AT,
    AVATAR,
    CursorPosition("notes", 3),
    ("notes",),
)
ADDED = {"timestamp": "2025-11-13T10:00:00.000Z", "event_id": "presence-task_789-7", "version": 7}
COUNTS = Counts(total=1, viewing=0, editing=0, typing=1)
EVENTS: list[PresenceEvent] = [
    UserJoined("task_789", SARAH, AT, "presence-task_789-7", 7),
    UserLeft("task_789", "cc_456", AT, "presence-task_789-7", 7),
    StateChanged(
        "task_789", "cc_456", PresenceState.VIEWING, PresenceState.EDITING, AT, "presence-task_789-7", 7
    ),
    Typing("task_789", "cc_456", "notes", AT, "presence-task_789-7", 7),
    CursorMoved("task_789", "cc_456", "notes", AT, "cursor-1", 3),
    CountsChanged("task_789", COUNTS, AT, "presence-task_789-7", 7),
    Snapshot(
        "task_789", 7, COUNTS, AT, "presence-task_789-7-snapshot", (INFO,),
        (LockInfo("notes", "cc_456", "Sarah Johnson", 9, AT),),
    ),
    FieldLocked("task_789", "cc_456", "Sarah Johnson", "notes", 9, AT, "lock-task_789-9-locked", 7),
    FieldUnlocked("task_789", "cc_456", "notes", 9, "expired", AT, "lock-task_789-9-unlocked", 7),
]  # fmt: skip


def written(event: PresenceEvent) -> dict[str, object]:
    found: dict[str, object] = json.loads(msgspec.json.encode(event))
    return found


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
class TestEveryEvent:
    def test_it_is_what_its_schema_says(self, event: PresenceEvent) -> None:
        document = written(event)
        check(str(document["type"]), document)

    def test_it_says_nothing_that_a_redacted_view_may_not_say(self, event: PresenceEvent) -> None:
        document = written(event)
        assert redact(str(document["type"]), document) == document


class TestTheDesignsExamples:
    """Field by field, with the added ``event_id`` and ``version``."""

    def test_a_join(self) -> None:
        user = {
            "user_id": "cc_456",
            "user_name": "Sarah Johnson",
            "user_role": "care_coordinator",
            "avatar_url": AVATAR,
            "state": "viewing",
        }
        joined = {"type": "presence.user_joined", "task_id": "task_789", "user": user}
        assert written(EVENTS[0]) == {**joined, **ADDED}

    def test_a_leave(self) -> None:
        left = {"type": "presence.user_left", "task_id": "task_789", "user_id": "cc_456"}
        assert written(EVENTS[1]) == {**left, **ADDED}

    def test_a_change_of_state(self) -> None:
        changed = {
            "type": "presence.state_changed",
            "task_id": "task_789",
            "user_id": "cc_456",
            "old_state": "viewing",
            "new_state": "editing",
        }
        assert written(EVENTS[2]) == {**changed, **ADDED}

    def test_typing(self) -> None:
        typing = {
            "type": "presence.typing",
            "task_id": "task_789",
            "user_id": "cc_456",
            "field_name": "notes",
        }
        assert written(EVENTS[3]) == {**typing, **ADDED}


class TestIds:
    def test_an_event_has_one_id_for_ever(self) -> None:
        assert event_id("task_789", 7) == "presence-task_789-7"
