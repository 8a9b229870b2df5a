"""What an extension's factory is given."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from aiohttp import web
from prometheus_client import CollectorRegistry

from bayeux_server.openapi import OpenApi
from bayeux_server.ports import Broker, History
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.session import Identity
from bayeux_server.settings import Settings, convert

T = TypeVar("T")


class ExtensionContext:
    """Everything an extension may build on.

    Attributes:
        name: The extension's name, that of its entry point and of its section.
        server: The Bayeux server.
        settings: The whole configuration.
        app: The web application: add routes to it.
        registry: For metrics.
        history: The port that keeps publications.
        broker: The port that carries them.
        openapi: The document of the HTTP interface: add what the routes added to ``app`` do.
    """

    def __init__(
        self,
        name: str,
        server: BayeuxServer,
        settings: Settings,
        app: web.Application,
        registry: CollectorRegistry,
        history: History,
        broker: Broker,
        readiness: dict[str, Callable[[], str | None]],
        token_readers: list[Callable[[str], Awaitable[Identity | None]]],
        openapi: OpenApi,
    ) -> None:
        self.name = name
        self.server = server
        self.settings = settings
        self.app = app
        self.registry = registry
        self.history = history
        self.broker = broker
        self.openapi = openapi
        self._readiness = readiness
        self._token_readers = token_readers

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

    def add_readiness(self, name: str, unready: Callable[[], str | None]) -> None:
        """Have ``/readyz`` ask ``unready`` why the extension cannot work now; None if it can."""
        self._readiness[name] = unready

    def add_token_reader(self, read: Callable[[str], Awaitable[Identity | None]]) -> None:
        """Have bearer tokens of HTTP requests and upgrades read by ``read``: who it is, or None."""
        self._token_readers.append(read)
