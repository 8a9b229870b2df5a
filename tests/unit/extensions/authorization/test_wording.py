"""The feed says of an assignment to whom it was, to the one whom it was to."""

import inspect
from collections.abc import Awaitable, Collection, Sequence

import msgspec
import pytest

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.fanout import View, ViewPolicy
from bayeux_server.server.session import ServerSession
from extensions.authorization.wording import InReadersWords
from tests.unit.extensions.presence.world import World

FEED = ChannelId("/activity_feed/team_1", ("activity_feed", "team_1"))
ENTRY = {"type": "task_assigned", "action_description": "assigned task", "details": {"assigned_to": "cc_1"}}
ASSIGNED = Publication(FEED, msgspec.json.encode(ENTRY), {"replay": {"id": 7}})
TO_YOU = msgspec.structs.replace(
    ASSIGNED, data=msgspec.json.encode({**ENTRY, "action_description": "assigned task to you"})
)


class Whole:
    """Shows everything to all."""

    def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
        return [(publication, audience)]


class WholeLater:
    """Shows everything to all, but has to wait before it knows."""

    async def views(self, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
        return [(publication, audience)]


@pytest.fixture
async def sessions() -> list[ServerSession]:
    """The assignee in two tabs, and somebody else."""
    world = World()
    return [(await world.client(user_id)).session for user_id in ("cc_1", "cc_2", "cc_1")]


async def views(then: ViewPolicy, publication: Publication, audience: Collection[ServerSession]) -> Sequence[View]:
    found: Sequence[View] | Awaitable[Sequence[View]] = InReadersWords(then).views(publication, audience)
    return await found if inspect.isawaitable(found) else found


@pytest.mark.parametrize("then", [Whole(), WholeLater()])
async def test_the_assignees_tabs_read_that_it_is_theirs(sessions: list[ServerSession], then: ViewPolicy) -> None:
    first, other, second = sessions
    assert await views(then, ASSIGNED, sessions) == [(TO_YOU, [first, second]), (ASSIGNED, [other])]


async def test_without_the_assignee_all_read_the_same(sessions: list[ServerSession]) -> None:
    assert await views(Whole(), ASSIGNED, [sessions[1]]) == [(ASSIGNED, [sessions[1]])]


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"task_updated","details":{"assigned_to":"cc_1"}}',
        b'{"type":"task_assigned","action_description":"unassigned task"}',
        b'["task_assigned"]',
        b"task_assigned",
    ],
)
async def test_any_other_entry_is_left_to_the_next_policy(sessions: list[ServerSession], data: bytes) -> None:
    publication = Publication(FEED, data)
    assert await views(Whole(), publication, sessions) == [(publication, sessions)]
