"""What subscribers were shown, whichever client they have."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from clients.python import BayeuxClient, Event
from clients.python.backoff import Backoff
from tests.interop.stock_client import node_client

PATIENCE_S = 60.0


class Screen:
    """The events of each channel in the order they came, each once by its id, as a page keeps them.

    Attributes:
        contradictions: Ids of events that came again with another content.
    """

    def __init__(self) -> None:
        self.contradictions: list[str] = []
        self._shown: dict[str, dict[str, dict[str, Any]]] = {}
        self._more = asyncio.Event()

    def show(self, channel: str, event: dict[str, Any]) -> None:
        """Take an event in. Who looks at a task is of the moment, and passed over."""
        if event["type"].startswith("presence."):
            return
        known = self._shown.setdefault(channel, {}).setdefault(event["event_id"], event)
        if known != event:
            self.contradictions.append(event["event_id"])
        self._more.set()

    def events(self, channel: str) -> list[dict[str, Any]]:
        """Return what was shown on a channel."""
        return list(self._shown.get(channel, {}).values())

    def versions(self, channel: str) -> list[int]:
        """Return the versions of what was shown on a channel of one task."""
        return [event["version"] for event in self.events(channel)]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was shown meets a condition."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def python_screen(url: str, token: str, channels: Iterable[str]) -> AsyncIterator[Screen]:
    """Subscribe with the Python client, which acknowledges, comes back by itself and asks for what it missed."""
    screen = Screen()

    def show(event: Event) -> None:
        screen.show(event.channel, event.data)

    async with BayeuxClient(url, token=token, backoff=Backoff(first_s=0.05, longest_s=0.2)) as client:
        for channel in channels:
            await client.subscribe(channel, show, replay_from=-2)
        yield screen


@asynccontextmanager
async def cometd_screen(url: str, token: str, channels: Iterable[str]) -> AsyncIterator[Screen]:
    """Subscribe with the stock CometD client and its extension for acknowledgement, and Salesforce's for replay."""
    screen = Screen()
    everything = dict.fromkeys(channels, -2)
    options = {"ack": True, "replay": "ext", "lastIds": everything, "token": token}
    async with node_client("cometd", "long-polling", url, **options) as client:
        client.on_event.append(screen.show)
        await client.connect()
        for channel in everything:
            await client.subscribe(channel)
        yield screen
