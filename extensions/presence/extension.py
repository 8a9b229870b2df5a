"""Presence and field locks on a Bayeux server.

In: messages on ``/service/presence``. Out: events on ``/task/{id}`` and ``/task/{id}/presence``, after a snapshot to
each new subscriber. What ends a presence: a leave, an unsubscribe, the end of the session (told at once), a connection
that stays away for the grace time, a lease that is not renewed. A connection that is back later, before its session
ended, brings it back.

While the stores are away messages are refused with 503. What was to be done without one is done when they are back, and
they are told again who is there, as they may have forgotten it.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec
import structlog

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Message, Publication, Publish, Subscribe
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Extension
from bayeux_server.server.fanout import View, ViewPolicy
from bayeux_server.server.remote_call import RemoteCall
from bayeux_server.server.session import ServerSession
from channels.presence.messages import Leave, ReleaseLock, read_message
from channels.presence.model import PresenceState
from extensions.presence.connections import GAP_S, Connections
from extensions.presence.gate import gate_of
from extensions.presence.people import person_of, presence_id
from extensions.presence.renewals import Renewals
from extensions.presence.service import PresenceService, Visitor
from extensions.presence.sessions import LocalSessions, Presence, sees, task_of
from extensions.presence.teller import UNSETTLED_S, Teller
from extensions.presence.ticker import Ticker

log = structlog.get_logger()

CHANNEL: Final = "/service/presence"
#: How often to look for what other nodes scheduled and cannot tell any more; what is due here has a timer of its own.
SWEEP_S: Final = 1.0
#: Read one after the other while changes go on; with an older one a subscriber sees a gap, and asks.
_MOST_SNAPSHOTS: Final = 3
#: What waits for stores that are away; of the oldest beyond it the leases take care.
MAX_UNDONE: Final = 10_000

#: Says whether presence is switched on for a session's user.
Enabled = Callable[[ServerSession], bool]


class _Work(NamedTuple):
    """What is to be done in a session's turn; ``last`` if nothing of the session can come after it."""

    session: ServerSession
    do: Callable[[], Awaitable[None]]
    last: bool = False


class PresenceExtension(Extension):
    """Wires presence and locks to a Bayeux server.

    Args:
        server: The server.
        service: What messages do.
        teller: The road to subscribers.
        enabled: Whom presence is switched on for; everybody by default.
        gap_s: For how long a connection may be missing before the stores hear of it.
        lease_s: Life of a presence without a sign of life.

    Attributes:
        teller: The road to subscribers; tells its listeners of what it published.
        sessions: The present sessions of this node.
        views: Decides whether a subscriber is shown the snapshot, as it does with all events; None shows it.
    """

    name = "presence"

    def __init__(
        self,
        server: BayeuxServer,
        service: PresenceService,
        teller: Teller,
        *,
        enabled: Enabled | None = None,
        gap_s: float = GAP_S,
        lease_s: float,
    ) -> None:
        self._server = server
        self.service = service
        self.teller = teller
        self.enabled = enabled or (lambda _: True)
        self.sessions = LocalSessions()
        self.views: ViewPolicy | None = None
        self._turns: dict[ServerSession, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._undone: deque[_Work] = deque(maxlen=MAX_UNDONE)
        core = server.core
        self.ticker = Ticker(core.timers, core.clock, self._tick, longest_s=SWEEP_S)
        self._connections = Connections(
            self.sessions, service, core.clock, self._spawn, self.wake, gap_s=gap_s, lease_s=lease_s
        )
        self._renewals = Renewals(self.sessions, service, core.clock, self._spawn, lease_s=lease_s)
        self._lease_s = lease_s
        self._recover_at_s = 0.0
        server.service(CHANNEL)(self._receive)

    def wake(self, in_s: float) -> None:
        """Have what is due told within ``in_s`` seconds."""
        self.ticker.wake(in_s)

    def unready(self) -> str | None:
        """Return why presence cannot be told now, None if it can."""
        return self.ticker.failing

    def is_editing(self, session: ServerSession, task_id: str) -> bool:
        """Say whether a session of this node edits the task, so that it is told when the task moves on under it."""
        presence = self.sessions.get(session)
        state = None if presence is None else presence.states.get(task_id)
        return state in {PresenceState.EDITING, PresenceState.TYPING}

    def is_warned(self, session: ServerSession, task_id: str, changed_in: str | None) -> bool:
        """Say whether a session edits the task, and is not the one whose own change moved it on."""
        return self.is_editing(session, task_id) and presence_id(session.id) != changed_in

    def renew(self, presence_id: str, user_id: str, task_id: str) -> None:
        """Take a call about a task as a sign of life of its session, if it is present there: see :class:`Renewals`."""
        self._renewals.take(presence_id, user_id, task_id)

    async def start(self) -> None:
        """Listen to subscriptions and ends of sessions, and begin to sweep."""
        core = self._server.core
        core.on_subscribed.append(self._subscribed)
        core.on_unsubscribed.append(self._unsubscribed)
        core.on_connection.append(self._connections.look)
        core.sessions.on_removed.append(self._removed)
        self.wake(0.0)

    async def stop(self) -> None:
        """Stop without a noise: our sessions are in grace, and may come back on another node."""
        await self.ticker.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._connections.lose_all()
        except OSError:
            log.warning("presence.stores_away_at_stop")

    # ---- in

    def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        """Take a sign of life."""
        if session is not None:
            self._connections.seen(session)

    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        """Take a sign of life."""
        if session is not None:
            self._connections.seen(session)

    async def _receive(self, call: RemoteCall) -> object:
        message = read_message(call.data)
        session = call.session
        person = person_of(session)
        ends = isinstance(message, Leave | ReleaseLock)
        if not ends and not self.enabled(session):
            raise RemoteError(403, [CHANNEL], "presence_is_off")
        if not ends and not sees(session, message.task_id):
            raise RemoteError(403, [message.task_id], "presence_denied")
        if _is_over(session):
            return None
        presence = self.sessions.add(session, presence_id(session.id))
        self._connections.look(session)
        async with self._turn(session):
            if _is_over(session):
                return None
            try:
                answer = await self.service.receive(Visitor(presence.id, person), message)
            except OSError:
                raise RemoteError(503, [CHANNEL], "presence_unavailable") from None
            presence.note(message, self._server.core.clock.now())
            return answer

    # ---- what the server tells

    def _subscribed(self, session: ServerSession, channel: ChannelId, message: Subscribe | None) -> None:
        task_id = task_of(channel)
        if task_id is not None and self.enabled(session):
            name = f"/task/{task_id}/presence" if channel.is_pattern else channel.name
            gate_of(session, self._server.core.clock).close(name)
            self._spawn(session, lambda: self._send_snapshot(session, channel, name, task_id))

    def _unsubscribed(self, session: ServerSession, channel: ChannelId, message: object) -> None:
        task_id, presence = task_of(channel), self.sessions.get(session)
        if task_id is not None and presence is not None and not sees(session, task_id):
            self._spawn(session, lambda: self._leave_unless_ended(session, task_id))

    def _removed(self, session: ServerSession, reason: str) -> None:
        presence = self.sessions.remove(session)
        self._connections.forget(session)
        if presence is not None:
            self._begin(self._run(_Work(session, lambda: self.service.end(presence.id), last=True)))
        else:
            self._turns.pop(session, None)

    async def _send_snapshot(self, session: ServerSession, channel: ChannelId, name: str, task_id: str) -> None:
        """Send a snapshot on the channel ``name``: one that has all changes that were kept back because of it."""
        gate = gate_of(session, self._server.core.clock)
        gate.close(name)  # again, for this may be long after the subscription: the stores were away
        reads = 0
        while True:
            snapshot = await self.service.snapshot(task_id)
            publication = Publication(self._server.core.grammar.parse(name), msgspec.json.encode(snapshot))
            views = await self._divided(publication, session)
            reads += 1
            if reads == _MOST_SNAPSHOTS or not gate.is_behind(name, snapshot.version):
                break
        for shown, sessions in views:
            if session in sessions and session.is_open and channel.name in session.subscriptions:
                session.deliver(Delivery(shown))
        gate.open(name, snapshot.version)

    async def _divided(self, publication: Publication, session: ServerSession) -> Sequence[View]:
        if self.views is None:
            return [(publication, (session,))]
        views = self.views.views(publication, (session,))
        return await views if inspect.isawaitable(views) else views

    async def _leave_unless_ended(self, session: ServerSession, task_id: str) -> None:
        # The end of a session takes it off its channels first. Whatever ended it, its end is told as one.
        presence = self.sessions.get(session)
        if presence is not None and session.is_open and not sees(session, task_id):
            presence.forget(task_id)
            await self.service.leave_task(presence.id, task_id)

    # ---- time

    async def _tick(self) -> float | None:
        now_s = self._server.core.clock.now()
        if now_s >= self._recover_at_s:
            self._recover_at_s = now_s + UNSETTLED_S
            await self.teller.recover()
        due_in_s = (self._connections.tick(), await self.service.tick())
        undone, self._undone = self._undone, deque(maxlen=MAX_UNDONE)
        if self.ticker.failing is not None:
            undone.extend(self._introductions())
        if undone:
            self._begin(self._make_good(undone))
        return min((each for each in due_in_s if each is not None), default=None)

    async def _make_good(self, undone: deque[_Work]) -> None:
        """Do what waited; one after the other, for at once it would be a connection to the stores for each."""
        while undone:
            if not await self._run(undone.popleft()):
                self._undone.extend(undone)
                return

    def _introductions(self) -> list[_Work]:
        """Return what tells stores that were away who is there."""
        return [
            _Work(session, partial(self._introduce, session, presence))
            for session, presence in self.sessions
            if presence.away_since_s is None
        ]

    async def _introduce(self, session: ServerSession, presence: Presence) -> None:
        if session.is_open:
            states = presence.alive_after(self._server.core.clock.now() - self._lease_s)
            await self.service.resume(Visitor(presence.id, person_of(session)), states)

    # ---- inside

    def _turn(self, session: ServerSession) -> asyncio.Lock:
        """What concerns one session happens in the order it came, however long a store takes."""
        return self._turns.setdefault(session, asyncio.Lock())

    def _spawn(self, session: ServerSession, do: Callable[[], Awaitable[None]]) -> None:
        self._begin(self._run(_Work(session, do)))

    def _begin(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, work: _Work) -> bool:
        """Do something in its session's turn. Returns whether the stores were there."""
        there = True
        try:
            async with self._turn(work.session):
                await work.do()
        except OSError:
            # No word here: the ticker says once that a store is away, and when it is back.
            self._undone.append(work)
            there = False
        except Exception:
            # The lease ends by itself: nobody stays present for ever because of a mistake.
            log.exception("presence.failed", session=work.session.short_id)
        if work.last:
            self._turns.pop(work.session, None)
        return there


def _is_over(session: ServerSession) -> bool:
    # A function, so that asking again after a wait is not taken for a repetition.
    return not session.is_open
