"""The server as its extensions and its host see it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from functools import partial

import structlog

from bayeux_server.errors import RemoteError, starting
from bayeux_server.protocol.channel_id import ChannelId, ChannelKind
from bayeux_server.protocol.messages import Publication
from bayeux_server.protocol.wire import Reader, encode
from bayeux_server.server.core import Core
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import Extension
from bayeux_server.server.fanout import Fanout, ViewPolicy
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.local_session import LocalSession
from bayeux_server.server.pipeline import Pipeline
from bayeux_server.server.remote_call import Handler
from bayeux_server.server.session import ServerSession
from bayeux_server.server.steps import complete
from bayeux_server.server.timers import Timer

log = structlog.get_logger()


class BayeuxServer:
    """A Bayeux server without transports.

    Attributes:
        core: The parts, for code that needs one of them: clock, timers, channels, sessions, hooks, policy.
        reader: Reads what transports receive.
        pipeline: Processes what was read.
        lifecycle: Begins and ends sessions.
    """

    def __init__(self, core: Core, reader: Reader) -> None:
        self.core = core
        self.reader = reader
        self.lifecycle = Lifecycle(core)
        self._tasks: set[asyncio.Task[None]] = set()
        self.pipeline = Pipeline(core, self.lifecycle, self._spawn)
        self._fanout = Fanout(
            core.channels,
            core.hooks,
            core.flush,
            core.observer,
            self._wait_lazily,
            self._spawn,
            core.on_delivered,
        )
        self._lazy: dict[ServerSession, Timer] = {}
        core.sessions.on_removed.append(self._session_removed)

    async def start(self) -> None:
        """Start the broker, then the extensions in the order they were added.

        Raises:
            LocalError: Naming the part that cannot start.
        """
        with starting("backend.broker"):
            await self.core.broker.start(self._fanout.on_publication)
        for extension in self.core.hooks.extensions:
            with starting(f"extensions.{extension.name}"):
                await extension.start()
        self._sweep_later()

    async def stop(self) -> None:
        """Stop the calls under way, the extensions in reverse order, then the broker.

        An extension that fails keeps no other from writing down what it holds.
        """
        await self.core.remote_calls.stop()
        for extension in reversed(self.core.hooks.extensions):
            try:
                await extension.stop()
            except Exception:
                log.exception("extension.stop_failed", extension=extension.name)
        await self.core.broker.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- for extensions

    def add_extension(self, extension: Extension) -> None:
        """Add an extension after those already there."""
        self.core.hooks.add(extension)

    async def publish(self, channel: str, data: object, *, lazy: bool = False, kept: bool = True) -> None:
        """Publish as the server: no policy is asked, the extensions' ``publishing`` hooks see it.

        Args:
            data: Raw JSON as ``bytes``, or a value to encode.
            lazy: May wait for company.
            kept: May be kept in a history.

        Raises:
            RemoteError: 405 if ``channel`` is no broadcast channel, or is a pattern; 503 if the broker is out of reach.
        """
        channel_id = self.core.grammar.parse(channel)
        if channel_id.is_pattern or channel_id.kind is not ChannelKind.BROADCAST:
            raise RemoteError(405, [channel], "channel_invalid")
        raw = data if isinstance(data, bytes) else encode(data)
        await complete(self.pipeline.publish.publish(Publication(channel_id, raw, lazy=lazy, kept=kept)))

    def publish_here(self, channel: ChannelId, data: bytes) -> None:
        """Publish raw JSON to the subscribers of this node alone, for what every node finds out by itself. Not kept."""
        self._fanout.on_publication(Publication(channel, data, kept=False))

    def service(self, pattern: str) -> Callable[[Handler], Handler]:
        """Return a decorator that serves remote calls on ``/service/...``; ``{name}`` segments become parameters."""

        def register(handler: Handler) -> Handler:
            self.core.remote_calls.add(pattern, handler)
            return handler

        return register

    def local_session(self, name: str) -> LocalSession:
        """Return a session for code of this server."""
        return LocalSession(name, self.core.grammar, self.core.channels, self.publish)

    def set_view_policy(self, pattern: str, policy: ViewPolicy) -> None:
        """Have a policy decide who sees what of publications on channels that match."""
        self._fanout.set_view_policy(self.core.grammar.parse(pattern), policy)

    def view_policy(self, pattern: str) -> ViewPolicy | None:
        """Return the policy that was set for just this pattern, None if none was: for one that narrows another."""
        return self._fanout.view_policy(self.core.grammar.parse(pattern))

    async def view_for(self, session: ServerSession, publication: Publication) -> Delivery | None:
        """Return what a session would get of a publication, None if nothing. For extensions that tell events again."""
        return await self._fanout.view_for(session, publication)

    def set_lazy(self, channel: str, *, lazy: bool = True) -> None:
        """Make a channel's messages wait for company, or no longer."""
        self.core.channels.get_or_create(self.core.grammar.parse(channel)).lazy = lazy

    def set_persistent(self, channel: str, *, persistent: bool = True) -> None:
        """Keep a channel when it is empty, or no longer."""
        self.core.channels.get_or_create(self.core.grammar.parse(channel)).persistent = persistent

    # ---- against sessions

    def disconnect(self, session: ServerSession, reason: str = "kicked") -> None:
        """End a session; its client is told so."""
        self.lifecycle.disconnect(session, reason)

    def kick_user(self, user_id: str, reason: str = "kicked") -> int:
        """End all sessions of a user and return how many there were."""
        sessions = self.core.sessions.of_user(user_id)
        for session in sessions:
            self.lifecycle.disconnect(session, reason)
        return len(sessions)

    def unsubscribe(self, session: ServerSession, channel: str) -> bool:
        """Take a session off a channel. Returns False if it was not on it."""
        return self.lifecycle.unsubscribe(session, channel)

    # ---- inside

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _sweep_later(self) -> None:
        self.core.channels.sweep()
        due_s = self.core.clock.now() + self.core.times.sweep_interval_ms / 1_000
        self.core.timers.call_at(due_s, self._sweep_later)

    def _wait_lazily(self, sessions: Iterable[ServerSession]) -> None:
        due_s = self.core.clock.now() + self.core.times.lazy_timeout_ms / 1_000
        for session in sessions:
            timer = self._lazy.get(session)
            if timer is None or not timer.pending:
                self._lazy[session] = self.core.timers.call_at(due_s, partial(self._flush_lazy, session))

    def _flush_lazy(self, session: ServerSession) -> None:
        self._lazy.pop(session, None)
        self.core.flush.mark(session)

    def _session_removed(self, session: ServerSession, reason: str) -> None:
        timer = self._lazy.pop(session, None)
        if timer is not None:
            timer.cancel()
        self.core.observer.session_removed(session, reason)
