"""The switches of the store, followed, and what each user gets by them."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from bayeux_server.server.identity import Identity
from channels.features import Feature, Switches
from channels.policy import SYSTEM_ROLE
from channels.stores.port import CareStore
from channels.stores.signals import LOOK_AGAIN_S

log = structlog.get_logger()

#: Returns those of the teams that a user works in.
WorksIn = Callable[[str, Collection[str]], Awaitable[frozenset[str]]]
EVERYTHING: Final = frozenset(Feature)


class Rollout:
    """Keeps the switches. Until they were read once nobody has anything; if they cannot be read again, they stay.

    Args:
        store: Where they are kept.
        works_in: Who belongs to which team.
        registry: Tells the percentages.
        default_percentage: See :class:`Switches`.
    """

    def __init__(
        self, store: CareStore, works_in: WorksIn, registry: CollectorRegistry, *, default_percentage: int
    ) -> None:
        self._store = store
        self._works_in = works_in
        self._default_percentage = default_percentage
        self._stored: object = None
        self._failing: str | None = "not read yet"
        self.switches = Switches((), default_percentage=0)
        percentages = Gauge(
            "careapp_feature_percentage", "Users who get a feature, in percent.", ["feature"], registry=registry
        )
        for feature in Feature:
            percentages.labels(feature.value).set_function(partial(self._percentage, feature))

    def _percentage(self, feature: Feature) -> float:
        return self.switches.of(feature).percentage

    def unready(self) -> str | None:
        """Return why the switches are not known, None if they are."""
        return self._failing

    async def read(self) -> bool:
        """Read the switches; return whether they are others than before."""
        try:
            stored = tuple(await self._store.switches())
        except OSError as error:
            if self._failing is None:
                log.warning("features.unreadable", error=type(error).__name__)
            self._failing = type(error).__name__
            return False
        self._failing = None
        if stored == self._stored:
            return False
        self._stored = stored
        self.switches = Switches(stored, default_percentage=self._default_percentage)
        return True

    async def wait(self, seen: int) -> None:
        """Return when the switches may have changed: at once within this process, else after a second."""
        await self._store.signals.switches.wait(seen, LOOK_AGAIN_S)

    @property
    def changes_seen(self) -> int:
        """For :meth:`wait`: take it before :meth:`read`."""
        return self._store.signals.switches.count

    async def of(self, identity: Identity | None) -> tuple[Switches, frozenset[Feature]]:
        """Return what a session of somebody has, and the switches that say so. Services have everything."""
        switches = self.switches
        if identity is None:
            return switches, switches.on_for(None, ())
        if SYSTEM_ROLE in identity.roles:
            return switches, EVERYTHING
        teams = await self._works_in(identity.user_id, switches.teams)
        return switches, switches.on_for(identity.user_id, teams)
