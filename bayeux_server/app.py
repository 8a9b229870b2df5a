"""The composition root: settings in, a web application out. The only module that knows every other."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from importlib.metadata import entry_points
from typing import Final

import aiohttp_cors
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from bayeux_server.backends.memory.answers import MemoryAnswers
from bayeux_server.backends.memory.broker import MemoryBroker
from bayeux_server.backends.memory.history import MemoryHistory
from bayeux_server.checks import check
from bayeux_server.demo import FAYE_SCRIPT, Demo, demo_is_installed
from bayeux_server.drain import drain
from bayeux_server.errors import RemoteError, starting
from bayeux_server.health import Health
from bayeux_server.host import ExtensionContext, Host
from bayeux_server.metrics import Metrics
from bayeux_server.openapi import OpenApi
from bayeux_server.ports import Answers, Broker, History
from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.wire import Reader
from bayeux_server.refusals import refuse_in_json
from bayeux_server.request_log import RequestLog
from bayeux_server.server.authorizer import AllowAll, Operation, SecurityPolicy
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.binding import Binding
from bayeux_server.server.channel import ChannelIndex
from bayeux_server.server.clock import Clock, SystemClock
from bayeux_server.server.core import Bounds, Core, Times
from bayeux_server.server.extension import Extension, Hooks
from bayeux_server.server.flush import Flush
from bayeux_server.server.identity import Identity
from bayeux_server.server.limits import Limits
from bayeux_server.server.pace import Pace
from bayeux_server.server.registry import SessionRegistry
from bayeux_server.server.remote_call import RemoteCalls
from bayeux_server.server.rules import ChannelRule, RulesPolicy
from bayeux_server.server.timers import Timers
from bayeux_server.settings import Settings, SettingsError
from bayeux_server.transports import publish_openapi
from bayeux_server.transports.context import TransportContext, WireSettings
from bayeux_server.transports.mount import Mount
from bayeux_server.transports.origins import OriginPolicy
from bayeux_server.transports.publish_api import PATH, PublishApi

log = structlog.get_logger()

_BAYEUX_HEADERS: Final = ("Accept", "Authorization", "Content-Type", "Pragma", "X-Requested-With")
_API_HEADERS: Final = ("If-Match", "Idempotency-Key", "Bayeux-Client-Id")

EXTENSION_GROUP: Final = "bayeux_server.extensions"

ExtensionFactory = Callable[[ExtensionContext], Extension]


class BayeuxApp:
    """A server with its transports, ready to be run by aiohttp.

    Attributes:
        web: The aiohttp application; starting and stopping it starts and stops everything.
        server: The Bayeux server inside.
        context: What the transports share.
        health: Readiness and metrics.
        requests: Names and logs the requests.

    Raises:
        SettingsError: If the settings cannot be used together.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        grammar = _grammar(settings)
        check(settings, grammar)
        self.settings = settings
        self.registry = CollectorRegistry()
        broker, self.history = _backends(settings)
        core, metrics = _core(settings, grammar, broker, clock or SystemClock(), self.registry)
        self.metrics = metrics
        broker.on_gap.append(metrics.broker_gap)
        reader = Reader(
            core.grammar,
            max_depth=settings.limits.max_json_depth,
            max_messages=settings.limits.max_messages_per_batch,
        )
        self.server = BayeuxServer(core, reader)
        self.health = Health(metrics)
        self.health.checks |= {"broker": broker.unready, "history": self.history.unready}
        self._token_readers: list[Callable[[str], Awaitable[Identity | None]]] = []
        self.context = TransportContext(
            self.server, _wire(settings), OriginPolicy(settings.server.allowed_origins), self._read_token
        )
        self.web = web.Application(client_max_size=settings.limits.max_body_bytes)
        self.requests = RequestLog(core.clock, self.context.address, enabled=settings.log.requests)
        self.requests.add_to(self.web)
        self.web.middlewares.append(refuse_in_json())
        self.web.add_routes(self.health.routes())
        self._cors = aiohttp_cors.setup(self.web)
        self._add_mount()
        self.openapi = OpenApi()
        self._add_publish_api()
        self._add_extensions()
        if settings.server.demo and demo_is_installed():
            self.web.add_routes(Demo(settings.server.mount).routes())
        self._prepare_channels()
        self.web.cleanup_ctx.append(self._run)
        self.web.on_shutdown.append(self._shut_down)

    def _add_mount(self) -> None:
        mount = Mount(self.context, self.settings.server.mount, FAYE_SCRIPT if FAYE_SCRIPT.exists() else None)
        self._add_shared_routes(mount.routes(), methods=("POST", "GET"), headers=_BAYEUX_HEADERS)
        self.web.on_response_prepare.append(mount.prepare)

    def _add_api_routes(self, routes: Iterable[web.RouteDef]) -> None:
        methods = ("GET", "POST", "PATCH", "PUT", "DELETE")
        self._add_shared_routes(routes, methods=methods, headers=(*_BAYEUX_HEADERS, *_API_HEADERS))

    def _add_shared_routes(
        self, routes: Iterable[web.RouteDef], *, methods: Sequence[str], headers: Sequence[str]
    ) -> None:
        """Add routes that pages of the allowed origins may call."""
        options = aiohttp_cors.ResourceOptions(
            allow_credentials=True, allow_headers=headers, allow_methods=list(methods), expose_headers=("ETag",)
        )
        for route in self.web.add_routes(routes):
            self._cors.add(route, dict.fromkeys(self.context.origins.allowed, options))

    def _add_publish_api(self) -> None:
        self._answers = _answers(self.settings, self.server.core.clock)
        api = PublishApi(self.context, self._answers, anonymous=self.settings.security.mode == "development")
        self._add_api_routes([*api.routes(), *self.openapi.routes()])
        self.openapi.add({PATH: publish_openapi.describe()}, publish_openapi.schemas())

    def _add_extensions(self) -> None:
        host = Host(
            server=self.server,
            settings=self.settings,
            app=self.web,
            registry=self.registry,
            history=self.history,
            openapi=self.openapi,
            readiness=self.health.checks,
            token_readers=self._token_readers,
            add_routes=self._add_api_routes,
            identify=self.context.identify,
        )
        found = {point.name: point for point in entry_points(group=EXTENSION_GROUP)}
        for name, section in self.settings.extensions.items():
            if not section.get("enabled", True):
                continue
            if name not in found:
                known = ", ".join(sorted(found))
                raise SettingsError(f"extensions.{name}: no such extension is installed; there are {known}")
            factory: ExtensionFactory = found[name].load()
            self.server.add_extension(factory(ExtensionContext(name, host)))

    def _prepare_channels(self) -> None:
        for channel in self.settings.connect.lazy_channels:
            self.server.set_lazy(channel)
        for channel in self.settings.connect.persistent_channels:
            self.server.set_persistent(channel)

    async def _read_token(self, token: str) -> Identity | None:
        refusal: RemoteError | None = None
        for read in self._token_readers:
            try:
                identity = await read(token)
            except RemoteError as error:
                refusal = refusal or error
                continue
            if identity is not None:
                return identity
        if refusal is not None:
            raise refusal
        return None

    async def _run(self, _app: web.Application) -> AsyncIterator[None]:
        with starting("backend.history"):
            await self.history.start()
        await self._answers.start()
        await self.server.start()
        watching = asyncio.create_task(self.metrics.watch_loop())
        yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await self.server.stop()
        await self._answers.stop()
        await self.history.stop()

    async def drain(self) -> None:
        """Let the clients go, spread over the drain time. Stopping without it closes all connections at once."""
        server = self.settings.server
        await drain(self.context, self.health, server.drain_ms, wait_ms=server.drain_wait_ms)

    async def _shut_down(self, _app: web.Application) -> None:
        await drain(self.context, self.health, 0)


def _grammar(settings: Settings) -> ChannelGrammar:
    limits = settings.limits
    return ChannelGrammar(
        wide=limits.wide_channel_grammar,
        max_length=limits.max_channel_characters,
        max_segments=limits.max_channel_segments,
    )


def _rest(settings: Settings) -> Callable[[], None] | None:
    min_turn_s = settings.server.min_turn_ms / 1_000
    return Pace(min_turn_s, time.monotonic, time.sleep).rest if min_turn_s else None


def _core(
    settings: Settings, grammar: ChannelGrammar, broker: Broker, clock: Clock, registry: CollectorRegistry
) -> tuple[Core, Metrics]:
    limits, connect = settings.limits, settings.connect
    sessions = SessionRegistry(
        max_per_user=limits.max_sessions_per_user,
        max_per_address=limits.max_sessions_per_address,
        max_sessions=limits.max_sessions,
    )
    metrics = Metrics(registry, sessions)
    core = Core(
        clock=clock,
        timers=_timers(clock),
        flush=Flush(lambda callback: asyncio.get_running_loop().call_soon(callback), metrics, _rest(settings)),
        broker=broker,
        grammar=grammar,
        channels=ChannelIndex(limits.max_channels),
        sessions=sessions,
        hooks=Hooks(),
        policy=_policy(settings),
        binding=Binding(settings.security.session_binding),
        remote_calls=RemoteCalls(max_calls_per_session=limits.max_calls_per_session),
        observer=metrics,
        times=Times(
            hold_timeout_ms=connect.hold_timeout_ms,
            interval_ms=connect.interval_ms,
            max_interval_ms=connect.max_interval_ms,
            lazy_timeout_ms=connect.lazy_timeout_ms,
            sweep_interval_ms=connect.sweep_interval_ms,
            multiple_clients_interval_ms=connect.multiple_clients_interval_ms,
        ),
        bounds=Bounds(
            max_subscriptions_per_session=limits.max_subscriptions_per_session,
            max_held_connects=limits.max_held_connects,
            max_held_per_browser=connect.max_held_per_browser,
        ),
        limits=Limits(
            max_queue_messages=limits.max_queue_messages,
            max_queue_bytes=limits.max_queue_bytes,
            drop_oldest=limits.on_queue_overflow == "drop_oldest",
        ),
    )
    return core, metrics


def _timers(clock: Clock) -> Timers:
    """Return timers that the running event loop drives."""
    armed: list[asyncio.TimerHandle] = []

    def arm(when_s: float) -> None:
        for handle in armed:
            handle.cancel()
        loop = asyncio.get_running_loop()
        armed[:] = [loop.call_later(max(0.0, when_s - clock.now()), lambda: timers.run_due(clock.now()))]

    timers = Timers(arm)
    return timers


def _wire(settings: Settings) -> WireSettings:
    limits = settings.limits
    return WireSettings(
        max_body_bytes=limits.max_body_bytes,
        ping_interval_s=settings.connect.ping_interval_ms / 1_000,
        idle_socket_timeout_s=limits.idle_socket_timeout_ms / 1_000,
        write_timeout_s=limits.write_timeout_ms / 1_000,
        max_sockets=limits.max_sockets,
        max_sockets_per_address=limits.max_sockets_per_address,
        cross_site_cookie=settings.security.cross_site_cookie,
        trusted_proxies=settings.server.trusted_proxies,
    )


def _policy(settings: Settings) -> SecurityPolicy:
    if settings.security.mode == "development":
        return AllowAll(publish_without_session=settings.security.publish_without_session)
    return RulesPolicy(ChannelRule(rule.channel, map(Operation, rule.allow), rule.roles) for rule in settings.rules)


def _backends(settings: Settings) -> tuple[Broker, History]:
    backend = settings.backend
    broker: Broker = MemoryBroker()
    history: History = MemoryHistory(max_messages=backend.history_max_messages, max_bytes=backend.history_max_bytes)
    if backend.broker == "redis" or backend.history == "redis":
        from bayeux_server.backends.redis import RedisBroker, RedisHistory

        if backend.broker == "redis":
            broker = RedisBroker(backend.redis_url, backend.redis_prefix)
        if backend.history == "redis":
            history = RedisHistory(backend.redis_url, backend.redis_prefix, max_messages=backend.history_max_messages)
    return broker, history


def _answers(settings: Settings, clock: Clock) -> Answers:
    """Return what keeps answers: shared where publications are, for a retry may reach another node."""
    backend = settings.backend
    if backend.broker == "memory":
        return MemoryAnswers(clock.now)
    from bayeux_server.backends.redis import RedisAnswers

    return RedisAnswers(backend.redis_url, backend.redis_prefix)
