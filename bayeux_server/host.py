"""What an extension's factory is given."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from bayeux_server.openapi import OpenApi
from bayeux_server.ports import History
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.identity import Identity
from bayeux_server.settings import Settings, convert

T = TypeVar("T")


class Host(msgspec.Struct, kw_only=True):
    """What the composition root shares with every extension.

    Attributes:
        server: The Bayeux server.
        settings: The whole configuration.
        app: The web application.
        registry: For metrics.
        history: The port that keeps publications.
        openapi: The document of the HTTP interface.
        readiness: What ``/readyz`` asks, by name.
        token_readers: Who read bearer tokens, in the order they are asked.
        add_routes: Adds routes that pages of the allowed origins may call.
        identify: Finds who sent a request, None if it has no token; raises ``RemoteError`` for one that is not good.
    """

    server: BayeuxServer
    settings: Settings
    app: web.Application
    registry: CollectorRegistry
    history: History
    openapi: OpenApi
    readiness: dict[str, Callable[[], str | None]]
    token_readers: list[Callable[[str], Awaitable[Identity | None]]]
    add_routes: Callable[[Iterable[web.RouteDef]], None]
    identify: Callable[[web.Request], Awaitable[Identity | None]]


class ExtensionContext:
    """Everything an extension may build on.

    Attributes:
        name: The extension's name, that of its entry point and of its section.
        server: The Bayeux server.
        settings: The whole configuration.
        app: The web application: where extensions leave what others need of them, under an ``AppKey``.
        registry: For metrics.
        history: The port that keeps publications.
        openapi: The document of the HTTP interface: add what the routes do.
        add_routes: Adds routes that pages of the allowed origins may call.
        identify: Finds who sent a request, None if it has no token; raises ``RemoteError`` for one that is not good.
    """

    def __init__(self, name: str, host: Host) -> None:
        self.name = name
        self.server = host.server
        self.settings = host.settings
        self.app = host.app
        self.registry = host.registry
        self.history = host.history
        self.openapi = host.openapi
        self.add_routes = host.add_routes
        self.identify = host.identify
        self._host = host

    @property
    def config(self) -> Mapping[str, Any]:
        """The section ``[extensions.NAME]``, without ``enabled``."""
        section = self.settings.extensions.get(self.name, {})
        return {key: value for key, value in section.items() if key != "enabled"}

    def read_config(self, kind: type[T]) -> T:
        """Return the section as a struct.

        Raises:
            SettingsError: Naming key, value and what is allowed.
        """
        return convert(dict(self.config), kind, f"extensions.{self.name}")

    def precedes(self, name: str) -> bool:
        """Say whether the extension ``name`` is switched on too, with its section behind this one's."""
        sections = self.settings.extensions
        names = [each for each, section in sections.items() if section.get("enabled", True)]
        return name in names[names.index(self.name) :]

    def add_readiness(self, name: str, unready: Callable[[], str | None]) -> None:
        """Have ``/readyz`` ask ``unready`` why the extension cannot work now; None if it can."""
        self._host.readiness[name] = unready

    def add_token_reader(self, read: Callable[[str], Awaitable[Identity | None]]) -> None:
        """Have bearer tokens of HTTP requests and upgrades read by ``read``: who it is, or None for a token of others.

        It may raise ``RemoteError`` to say why a token is not good.
        """
        self._host.token_readers.append(read)
