"""The fast way to divide an audience agrees with the plain rule, asker by asker, whatever happened between events."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import compress

from hypothesis import given, settings
from hypothesis import strategies as st

from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.flush import Flush
from bayeux_server.server.identity import Identity
from bayeux_server.server.limits import Limits
from bayeux_server.server.observer import Observer
from bayeux_server.server.session import ServerSession
from channels.policy import Principal
from channels.views import View, event_needs, redact, view_of
from extensions.authorization.decisions import Decisions
from extensions.authorization.event_types import EventTypes
from extensions.authorization.ports import Check, CheckerUnavailableError, Watcher
from extensions.authorization.views import CareViews
from tests.support.examples import examples

GRAMMAR = ChannelGrammar()
USERS = ("u1", "u2", "u3", "service")
CHANNELS = (
    "/task/t1", "/task/t1/presence", "/task_list/team/a", "/task_list/member/m1", "/task_list/assigned_to/u1",
    "/notifications/u1", "/activity_feed/a",
)  # fmt: skip
Grant = tuple[str, tuple[str, str, str]]
ALL_GRANTS: Sequence[Grant] = [
    (user_id, need)
    for user_id in USERS
    for need in [
        ("view", "task", "t1"),
        ("view_phi", "task", "t1"),
        ("view_phi", "member", "m1"),
        ("view", "team", "a"),
    ]
]
#: Each is given or not, so that what takes several of them comes up too.
GRANTS = st.tuples(*[st.booleans()] * len(ALL_GRANTS)).map(lambda given: set(compress(ALL_GRANTS, given)))
EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["task.updated", "task.assigned", "presence.typing", "note_added"]),
        "task_id": st.sampled_from(["t1", "t1", "t1", "t2", ""]),
    },
    optional={
        "task": st.sampled_from([{"id": "t1", "member_id": "m1", "notes": "x"}, {"id": "t1"}]),
        "subject": st.just({"type": "member", "id": "m1", "name": "x"}),
        "member_id": st.just("m1"),
        "notes": st.just("x"),
        "previous_assigned_to": st.sampled_from(USERS),
    },
)


class GrantingChecker:
    """Answers from a set of grants, at once or only when asked in bulk."""

    def __init__(self, grants: set[Grant], *, at_once: bool) -> None:
        self.grants = grants
        self.answers = True
        self._at_once = at_once

    async def start(self, watcher: Watcher) -> None:
        """Nothing changes."""

    async def stop(self) -> None:
        """Nothing is held."""

    def unready(self) -> str | None:
        """Always ready."""
        return None

    def holders_now(
        self, user_ids: Collection[str], permission: str, object_type: str, object_id: str
    ) -> AbstractSet[str] | None:
        """See :meth:`PermissionChecker.holders_now`."""
        if not (self._at_once and self.answers):
            return None
        return {each for each in user_ids if (each, (permission, object_type, object_id)) in self.grants}

    async def check_bulk(self, checks: Sequence[Check], *, at_least: str | None = None) -> list[bool]:
        """See :meth:`PermissionChecker.check_bulk`."""
        if not self.answers:
            raise CheckerUnavailableError("as told")
        return [(check.user_id, check[1:]) in self.grants for check in checks]


def _session(user_id: str | None) -> ServerSession:
    session = ServerSession(Flush(lambda _: None, Observer()), Limits(), address="::1", transport="websocket")
    if user_id is not None:
        session.identity = Identity(user_id, frozenset({"system"}) if user_id == "service" else frozenset({"rsa"}))
    return session


async def _divided(views: CareViews, publication: Publication, audience: list[ServerSession]) -> dict[str, object]:
    shares = views.views(publication, audience)
    shares = shares if isinstance(shares, Sequence) else await shares
    got = [(session.id, json.loads(share.data)) for share, sessions in shares for session in sessions]
    assert len(dict(got)) == len(got), "somebody gets two views"
    return dict(got)


class Ward:
    """People before their screens, and grants that come and go.

    Args:
        grants: To begin with.
        at_once: Whether the checker answers without being asked in bulk.
    """

    def __init__(self, grants: set[Grant], *, at_once: bool) -> None:
        self.checker = GrantingChecker(grants, at_once=at_once)
        self.now_s = 0.0
        self.decisions = Decisions(self.checker, lambda: self.now_s, max_objects=3)
        self.views = CareViews(self.decisions, EventTypes())
        self.audience = [_session(user_id) for user_id in (*USERS, *USERS, None)]

    async def shown(self, publication: Publication) -> dict[str, object]:
        """Return what each session gets."""
        return await _divided(self.views, publication, self.audience)

    def expected(self, channel: str, event: Mapping[str, object]) -> dict[str, object]:
        """Return what the rule gives each session. Of a checker that does not answer, nobody has any permission."""
        needs = event_needs(GRAMMAR.parse(channel), event)
        assert needs is not None
        forms = {View.FULL: event, View.REDACTED: redact(str(event["type"]), event)}
        grants = self.checker.grants if self.checker.answers else set()
        found: dict[str, object] = {}
        for session in self.audience:
            principal = Principal(session.identity.user_id, session.identity.roles) if session.identity else None
            view = view_of(principal, needs, lambda user_id, *need: (user_id, need) in grants)
            if view in forms:
                found[session.id] = forms[view]
        return found

    def change(self, grant: Grant, *, seen: bool) -> None:
        """Give or take a permission; the decisions hear of it, or else it is a while ago."""
        self.checker.grants ^= {grant}
        if seen:
            self.decisions.changed(frozenset({grant[1][1:]}), frozenset(), None)
        else:
            self.now_s += 60.1

    def turn(self, *, answers: bool) -> None:
        """Let the checker fail, or come back: the watch breaks, or begins anew."""
        self.checker.answers = answers
        self.decisions.watching(alive=answers)

    def join(self, user_id: str) -> None:
        """Let somebody open another tab."""
        self.audience.append(_session(user_id))

    def leave(self) -> None:
        """Let who came first go."""
        self.audience[:1] = []


DEEDS = st.one_of(
    st.builds(lambda grant: lambda ward: ward.change(grant, seen=True), st.sampled_from(ALL_GRANTS)),
    st.builds(lambda grant: lambda ward: ward.change(grant, seen=False), st.sampled_from(ALL_GRANTS)),
    st.builds(lambda answers: lambda ward: ward.turn(answers=answers), st.booleans()),
    st.builds(lambda user_id: lambda ward: ward.join(user_id), st.sampled_from(USERS)),
    st.just(Ward.leave),
)


@settings(max_examples=examples(500))
@given(st.sampled_from(CHANNELS), EVENTS, GRANTS, st.booleans(), st.lists(DEEDS, max_size=8))
def test_everybody_gets_the_view_that_the_rule_gives_them_now_however_warm_the_decisions_are(
    channel: str, event: dict[str, object], grants: set[Grant], warm: bool, deeds: list[Callable[[Ward], None]]
) -> None:
    async def story() -> None:
        ward = Ward(grants, at_once=warm)
        publication = Publication(GRAMMAR.parse(channel), json.dumps(event).encode())
        assert await ward.shown(publication) == ward.expected(channel, event)
        for deed in deeds:
            deed(ward)
            assert await ward.shown(publication) == ward.expected(channel, event)

    asyncio.run(story())


async def test_who_is_known_to_be_refused_is_not_waited_for() -> None:
    ward = Ward({("u2", ("view", "task", "t1"))}, at_once=False)
    publication = Publication(GRAMMAR.parse("/task_list/team/a"), b'{"type":"task.updated","task_id":"t1","notes":"x"}')
    await ward.decisions.ensure(Check(user_id, "view", "task", "t1") for user_id in USERS)
    refused = [_session("u1"), _session("u3")]
    assert ward.views.views(publication, refused) == []
    waiting = ward.views.views(publication, [*refused, _session("u2")])
    assert not isinstance(waiting, Sequence)
    assert await waiting == []
