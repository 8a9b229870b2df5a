"""What clients send, read at the edge."""

from typing import Any

import pytest

from bayeux_server.errors import RemoteError
from channels.presence import messages
from channels.presence.messages import TYPES, read_message
from channels.presence.model import PresenceState
from channels.schema import care_schemas

TASK = {"task_id": "task_789"}


class TestReading:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (
                {"type": "presence.user_joined", "user_id": "cc_456", "state": "viewing"},
                messages.Join(task_id="task_789", user_id="cc_456"),
            ),
            ({"type": "presence.user_left", "user_id": "cc_456"}, messages.Leave(task_id="task_789", user_id="cc_456")),
            ({"type": "presence.heartbeat"}, messages.Heartbeat(task_id="task_789")),
            (
                {"type": "presence.state_changed", "old_state": "viewing", "new_state": "editing"},
                messages.ChangeState(
                    task_id="task_789", new_state=PresenceState.EDITING, old_state=PresenceState.VIEWING
                ),
            ),
            ({"type": "presence.typing", "field_name": "notes"}, messages.Type(task_id="task_789", field_name="notes")),
            (
                {"type": "presence.cursor", "field_name": "notes", "field_index": 3},
                messages.Point(task_id="task_789", field_name="notes", field_index=3),
            ),
            ({"type": "presence.snapshot"}, messages.AskSnapshot(task_id="task_789")),
            ({"type": "lock.acquire", "field_name": "a"}, messages.AcquireLock(task_id="task_789", field_name="a")),
            ({"type": "lock.release", "field_name": "a"}, messages.ReleaseLock(task_id="task_789", field_name="a")),
            ({"type": "lock.renew"}, messages.RenewLocks(task_id="task_789")),
            (
                {"type": "lock.take_over", "field_name": "a", "reason": "urgent"},
                messages.TakeOverLock(task_id="task_789", field_name="a", reason="urgent"),
            ),
        ],
    )
    def test_each_message_is_read(self, data: dict[str, Any], message: messages.PresenceMessage) -> None:
        assert read_message({**TASK, **data}) == message

    def test_each_type_has_a_schema(self) -> None:
        assert {f"message.{kind}" for kind in TYPES} <= set(care_schemas())

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            (None, "400:,type,null:message_invalid"),
            ([], "400:,type,array:message_invalid"),
            ("x", "400:,type,string:message_invalid"),
            ({}, "400:type,required,missing:message_invalid"),
            ({"type": 1}, "400:type,enum,integer:unknown_message_type"),
            ({"type": "task.updated"}, "400:type,enum,string:unknown_message_type"),
        ],
    )
    def test_what_is_no_message_is_refused(self, data: object, error: str) -> None:
        with pytest.raises(RemoteError, match=f"^{error}$"):
            read_message(data)

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            ({"type": "presence.user_joined", "state": "John Doe"}, "400:state,enum,string:message_invalid"),
            ({"type": "lock.take_over", "field_name": "a", "reason": " "}, "400:reason,pattern,string:message_invalid"),
            ({"type": "lock.take_over", "field_name": "a"}, "400:reason,required,missing:message_invalid"),
            ({"type": "presence.cursor", "field_name": "a", "field_index": -1}, "400:field_index,minimum,integer:"),
            ({"type": "presence.heartbeat", "extra": 1}, "400:extra,additionalProperties,integer:message_invalid"),
        ],
    )
    def test_an_error_names_field_rule_and_type_and_never_the_value(self, data: dict[str, Any], error: str) -> None:
        with pytest.raises(RemoteError) as raised:
            read_message({**TASK, **data})
        assert str(raised.value).startswith(error)
        assert "John" not in str(raised.value)
