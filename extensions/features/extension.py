"""Feature switches on a Bayeux server.

A client hears what it has in the handshake's reply, ``ext.features``: ``{"presence": true, "locks": false, ...}``. At a
change every session that gains or loses something gets an event ``features.changed`` on ``/service/features``; a remote
call there answers the same object. Whoever joins or leaves a team has that team's features from the next handshake or
the next change of a switch on.

The server keeps to the switches itself: it refuses subscriptions that would bring nothing, delivers no event of a
feature to who lacks it, takes no presence from who lacks that, and gives no locks. A lock that somebody holds stays
theirs until they let it go, and is respected by all: a switch must not cost anybody an edit.
"""

import asyncio
import contextlib
from collections.abc import Awaitable
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec
import structlog
from aiohttp import web

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.messages import META_HANDSHAKE, Handshake, Message, Publication, Publish, Reply, Subscribe
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Extension
from bayeux_server.server.remote_call import RemoteCall
from bayeux_server.server.session import ServerSession
from channels.features import Feature, Switches, of_channel, of_message
from channels.policy import CARE_ROOTS
from channels.timestamps import iso_utc_ms
from extensions.features.rollout import EVERYTHING, Rollout
from extensions.features.views import FeatureViews, feature_of
from extensions.presence import PRESENCE
from extensions.presence.extension import CHANNEL as PRESENCE_CHANNEL

log = structlog.get_logger()

CHANNEL: Final = "/service/features"
_KEY: Final = "features"


class _Judged(NamedTuple):
    """What a session has, and by which switches."""

    switches: Switches
    features: frozenset[Feature]


class FeaturesExtension(Extension):
    """Tells sessions what they have, and holds them to it."""

    name = "features"

    def __init__(self, server: BayeuxServer, app: web.Application, rollout: Rollout) -> None:
        self._server = server
        self._app = app
        self._rollout = rollout
        self._lacking: set[ServerSession] = set()
        self._following: asyncio.Task[None] | None = None
        self._late: set[asyncio.Task[None]] = set()
        server.service(CHANNEL)(self._answer)
        server.core.sessions.on_added.append(self._added)
        server.core.sessions.on_removed.append(lambda session, _reason: self._lacking.discard(session))

    # ---- life

    async def start(self) -> None:
        """See :meth:`Extension.start`: the other extensions have put their policies in place by now."""
        for pattern in (*(f"/{root}/**" for root in sorted(CARE_ROOTS)), "/task/*"):
            inner = self._server.view_policy(pattern)
            if inner is not None or pattern.endswith("**"):
                self._server.set_view_policy(pattern, FeatureViews(self._lacking, self.has, inner))
        presence = self._app.get(PRESENCE)
        if presence is not None:
            presence.enabled = partial(self.has, feature=Feature.PRESENCE)
        seen = self._rollout.changes_seen
        await self._rollout.read()
        self._following = asyncio.create_task(self._follow(seen), name="features")

    async def stop(self) -> None:
        """See :meth:`Extension.stop`."""
        tasks = [*self._late, *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- what sessions have

    def has(self, session: ServerSession, feature: Feature) -> bool:
        """Say whether a session has a feature. One that was not judged has none."""
        judged: _Judged | None = session.attributes.get(_KEY)
        return judged is not None and feature in judged.features

    def incoming_meta(self, session: ServerSession | None, message: Message) -> Awaitable[None] | None:
        """Judge a session to be, and refuse a subscription that could bring nothing.

        Raises:
            RemoteError: 403, naming the channel.
        """
        if session is None:
            return None
        if isinstance(message, Handshake):
            return self._judge(session)
        if isinstance(message, Subscribe) and session in self._lacking:
            self._check_channels(session, message)
        return None

    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        """Refuse a lock to a session that has none to get.

        Raises:
            RemoteError: 403.
        """
        if session is None or session not in self._lacking or message.channel.name != PRESENCE_CHANNEL:
            return
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            document = msgspec.json.decode(message.data)
            kind = document.get("type") if isinstance(document, dict) else None
            feature = of_message(kind) if isinstance(kind, str) else None
            if feature is not None and not self.has(session, feature):
                raise RemoteError(403, [PRESENCE_CHANNEL], f"{feature}_is_off")

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        """Tell a new session what it has."""
        if session is not None and reply.channel == META_HANDSHAKE and reply.successful is True:
            reply.extend("features", self._told(session))

    async def _answer(self, call: RemoteCall) -> object:
        return self._told(call.session)

    def _check_channels(self, session: ServerSession, message: Subscribe) -> None:
        for name in message.names:
            segments = tuple(name.strip("/").split("/"))
            feature = of_channel(segments)
            if feature is not None and not self.has(session, feature):
                raise RemoteError(403, [name], f"{feature}_is_off")

    async def _judge(self, session: ServerSession) -> None:
        session.attributes[_KEY] = _Judged(*await self._rollout.of(session.identity))

    def _told(self, session: ServerSession) -> dict[str, bool]:
        return {feature.value: self.has(session, feature) for feature in Feature}

    # ---- changes

    def _added(self, session: ServerSession) -> None:
        """Note what a new session lacks; judge it again if a switch moved during its handshake."""
        self._note(session)
        judged: _Judged | None = session.attributes.get(_KEY)
        if judged is None or judged.switches is not self._rollout.switches:
            task = asyncio.ensure_future(self._judge_again(session))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    async def _follow(self, seen: int) -> None:
        while True:
            await self._rollout.wait(seen)
            seen = self._rollout.changes_seen
            try:
                if await self._rollout.read():
                    await self._judge_all()
            except Exception:
                log.exception("features.follow_failed")

    async def _judge_all(self) -> None:
        sessions = list(self._server.core.sessions)
        log.info("features.changed", sessions=len(sessions))
        for session in sessions:
            await self._judge_again(session)

    async def _judge_again(self, session: ServerSession) -> None:
        before: _Judged | None = session.attributes.get(_KEY)
        await self._judge(session)
        if not session.is_open:
            return
        self._note(session)
        had = before.features if before is not None else frozenset()
        has: frozenset[Feature] = session.attributes[_KEY].features
        if has == had:
            return
        if had - has:
            session.cut(lambda delivery: self._is_off(session, delivery))
            await self._end_presence(session)
        self._tell(session)

    def _note(self, session: ServerSession) -> None:
        judged: _Judged | None = session.attributes.get(_KEY)
        if judged is not None and judged.features == EVERYTHING:
            self._lacking.discard(session)
        else:
            self._lacking.add(session)

    def _is_off(self, session: ServerSession, delivery: Delivery) -> bool:
        feature = feature_of(delivery.channel.segments[0], delivery.data)
        return feature is not None and not self.has(session, feature)

    async def _end_presence(self, session: ServerSession) -> None:
        """Nobody is shown who cannot see the others, and can no longer say that they are there."""
        presence = self._app.get(PRESENCE)
        if presence is None or self.has(session, Feature.PRESENCE):
            return
        present = presence.sessions.remove(session)
        if present is not None:
            await presence.service.end(present.id)

    def _tell(self, session: ServerSession) -> None:
        event: dict[str, Any] = {
            "type": "features.changed",
            "event_id": f"features_{uuid4().hex}",
            "timestamp": iso_utc_ms(self._server.core.clock.wall()),
            "features": self._told(session),
        }
        channel = self._server.core.grammar.parse(CHANNEL)
        session.deliver(Delivery(Publication(channel, msgspec.json.encode(event))))
