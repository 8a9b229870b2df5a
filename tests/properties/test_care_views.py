"""The fast way to divide an audience agrees with the plain rule, asker by asker."""

import asyncio
import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.flush import Flush
from bayeux_server.server.session import Identity, Limits, ServerSession
from channels.policy import Principal
from channels.views import View, event_needs, redact, view_of
from extensions.authorization.decisions import Decisions
from extensions.authorization.event_types import EventTypes
from extensions.authorization.ports import Check, Watcher
from extensions.authorization.views import CareViews

GRAMMAR = ChannelGrammar()
USERS = ("u1", "u2", "u3", "service")
CHANNELS = (
    "/task/t1", "/task/t1/presence", "/task_list/team/a", "/task_list/member/m1", "/task_list/assigned_to/u1",
    "/notifications/u1", "/activity_feed/a",
)  # fmt: skip
GRANTS = st.sets(
    st.tuples(
        st.sampled_from(USERS),
        st.sampled_from(
            [("view", "task", "t1"), ("view_phi", "task", "t1"), ("view_phi", "member", "m1"), ("view", "team", "a")]
        ),
    )
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["task.updated", "task.assigned", "presence.typing", "note_added"])},
    optional={
        "task_id": st.sampled_from(["t1", "t2"]),
        "task": st.sampled_from([{"id": "t1", "member_id": "m1", "notes": "x"}, {"id": "t1"}]),
        "subject": st.just({"type": "member", "id": "m1", "name": "x"}),
        "member_id": st.just("m1"),
        "previous_assigned_to": st.sampled_from(USERS),
    },
)


class GrantingChecker:
    """Answers from a set of grants, at once or only when asked in bulk."""

    def __init__(self, grants: set[tuple[str, tuple[str, str, str]]], *, at_once: bool) -> None:
        self._grants = grants
        self._at_once = at_once

    async def start(self, watcher: Watcher) -> None:
        """Nothing changes."""

    async def stop(self) -> None:
        """Nothing is held."""

    def unready(self) -> str | None:
        """Always ready."""
        return None

    def check_now(self, check: Check) -> bool | None:
        """See :meth:`PermissionChecker.check_now`."""
        return (check.user_id, check[1:]) in self._grants if self._at_once else None

    async def check_bulk(self, checks: Sequence[Check], *, at_least: str | None = None) -> list[bool]:
        """See :meth:`PermissionChecker.check_bulk`."""
        return [(check.user_id, check[1:]) in self._grants for check in checks]


def _session(user_id: str | None) -> ServerSession:
    session = ServerSession(Flush(lambda _: None), Limits(), address="::1", transport="websocket")
    if user_id is not None:
        session.identity = Identity(user_id, frozenset({"system"}) if user_id == "service" else frozenset({"rsa"}))
    return session


async def _divided(views: CareViews, publication: Publication, audience: list[ServerSession]) -> dict[str, object]:
    shares = views.views(publication, audience)
    shares = shares if isinstance(shares, Sequence) else await shares
    return {session.id: json.loads(share.data) for share, sessions in shares for session in sessions}


@given(st.sampled_from(CHANNELS), EVENTS, GRANTS, st.booleans())
def test_everybody_gets_the_view_that_the_rule_gives_them(
    channel: str, event: dict[str, object], grants: set[tuple[str, tuple[str, str, str]]], warm: bool
) -> None:
    decisions = Decisions(GrantingChecker(grants, at_once=warm), lambda: 0.0)
    audience = [_session(user_id) for user_id in (*USERS, *USERS, None)]
    publication = Publication(GRAMMAR.parse(channel), json.dumps(event).encode())
    got = asyncio.run(_divided(CareViews(decisions, EventTypes()), publication, audience))
    needs = event_needs(publication.channel, event)
    assert needs is not None
    redacted = redact(str(event["type"]), event)
    for session in audience:
        principal = Principal(session.identity.user_id, session.identity.roles) if session.identity else None
        view = view_of(principal, needs, lambda user_id, *need: (user_id, need) in grants)
        expected = {View.FULL: event, View.REDACTED: redacted}.get(view or View.HIDDEN)
        assert got.get(session.id) == expected
