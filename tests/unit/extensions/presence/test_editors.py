"""``task.base_moved`` reaches those who edit."""

from collections.abc import Collection, Sequence

import pytest

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View
from bayeux_server.server.session import ServerSession
from extensions.presence.editors import EditorsOnly
from tests.unit.extensions.presence.world import World

TASK = ChannelId("/task/task_1", ("task", "task_1"))
MOVED = Publication(TASK, b'{"type":"task.base_moved","task_id":"task_1","event_id":"e1"}')


class Halves:
    """Shows everything to the first session only."""

    def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
        return [(publication, list(audience)[:1])]


@pytest.fixture
async def sessions() -> list[ServerSession]:
    world = World()
    return [(await world.client(f"cc_{number}")).session for number in range(3)]


class TestEditorsOnly:
    async def test_only_editing_sessions_are_told_that_the_task_moved(self, sessions: list[ServerSession]) -> None:
        policy = EditorsOnly(lambda session, *_: session is sessions[1])
        assert policy.views(MOVED, sessions) == [(MOVED, [sessions[1]])]

    @pytest.mark.parametrize(
        "data",
        [
            b'{"type":"task.updated","task_id":"task_1"}',
            b'{"type":"task.updated","task_id":"task_1","task":{"notes":"task.base_moved"}}',
            b'["task.base_moved"]',
        ],
    )
    async def test_everything_else_goes_to_all(self, sessions: list[ServerSession], data: bytes) -> None:
        publication = Publication(TASK, data)
        policy = EditorsOnly(lambda *_: False)
        assert policy.views(publication, sessions) == [(publication, sessions)]

    async def test_the_next_policy_divides_what_is_left(self, sessions: list[ServerSession]) -> None:
        policy = EditorsOnly(lambda session, *_: session is not sessions[0], then=Halves())
        assert policy.views(MOVED, sessions) == [(MOVED, [sessions[1]])]
