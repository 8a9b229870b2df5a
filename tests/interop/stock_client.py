"""The stock faye and cometd clients, run in Node or in a page of a real Chromium, seen from a test."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.services.node import node_command

if TYPE_CHECKING:
    from playwright.async_api import Page, Route

HERE = Path(__file__).parent
COMETD = HERE.parents[1] / "clients" / "web" / "node_modules" / "cometd"
PATIENCE_S = 30.0

Report = dict[str, Any]


class StockClient(ABC):
    """One client. What it does comes as reports, in order.

    Attributes:
        events: Channel and data of each event so far.
        gaps: Where a gap was announced so far, ``reply`` or ``event``, and of which channel.
        on_event: Called with channel and data of each event in the moment it comes.
    """

    def __init__(self) -> None:
        self.on_event: list[Callable[[str, Any], object]] = []
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.events: list[Any] = []
        self.gaps: list[list[str]] = []

    def report(self, report: Report) -> None:
        """Take in a report."""
        self.reports.put_nowait(report)
        if "event" in report:
            for told in self.on_event:
                told(report["event"]["channel"], report["event"]["data"])

    @abstractmethod
    async def command(self, name: str, *values: object) -> None:
        """Have the driver do something; it answers by reports."""

    async def until(self, *kinds: str) -> Any:
        """Wait for a report of each kind, in any order, and return the last one's value; events before it are kept."""
        missing = set(kinds)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                report = await self.reports.get()
                assert "failed" not in report, report
                if "event" in report:
                    self.events.append((report["event"]["channel"], report["event"]["data"]))
                if "gap" in report:
                    self.gaps.append(report["gap"])
                for kind in missing & report.keys():
                    missing.remove(kind)
                    if not missing:
                        return report[kind]

    async def until_events(self, count: int) -> list[Any]:
        """Wait until that many events have come in all, and return them."""
        while len(self.events) < count:
            await self.until("event")
        return self.events

    async def connect(self) -> None:
        """Shake hands and connect."""
        await self.command("connect")
        await self.until("connected")

    async def subscribe(self, channel: str) -> None:
        """Subscribe and wait for the reply."""
        await self.command("subscribe", channel)
        await self.until("subscribed")

    async def publish(self, channel: str, data: object) -> None:
        """Publish and wait for the reply."""
        await self.command("publish", channel, data)
        await self.until("published")

    async def publish_until_it_arrives(self, channel: str) -> None:
        """Publish again and again until an event comes: a new session subscribes at a moment of the library's own."""
        number = 0
        while not self.events:
            number += 1
            await self.publish(channel, number)

    async def transport(self) -> str:
        """Return the connection type in use."""
        await self.command("transport")
        return str(await self.until("transport"))


class NodeClient(StockClient):
    """A client in a Node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__()
        self._process = process

    async def command(self, name: str, *values: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, *values]).encode() + b"\n")

    async def read(self) -> None:
        """Take in reports until the process ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(b"{"):
                self.report(json.loads(line))


@asynccontextmanager
async def node_client(library: str, transport: str, url: str, **options: object) -> AsyncIterator[NodeClient]:
    """Run a client in Node for as long as the context is open."""
    command = node_command(HERE / "in_node.mjs", library, transport, url, json.dumps(options))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    client = NodeClient(process)
    reading = asyncio.create_task(client.read())
    try:
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


class PageClient(StockClient):
    """A client in a page."""

    def __init__(self, page: "Page", origin: str, library: str, transport: str, url: str, options: Report) -> None:
        super().__init__()
        self._page = page
        self._origin = origin
        self._words = [library, transport, url, options]

    async def load(self) -> None:
        """Load the page, once more if it was loaded before, and a client into it."""
        library, _, url, _ = self._words
        await self._page.goto(f"{self._origin}/healthz")
        await self._page.set_content((HERE / "page.html").read_text())
        if library == "faye":
            await self._page.add_script_tag(url=f"{url}/client.js")
        await self._page.wait_for_function("window.begin !== undefined")
        await self._page.evaluate("words => window.begin(...words)", self._words)

    async def command(self, name: str, *values: object) -> None:
        await self._page.evaluate("words => window.command(...words)", [name, *values])


async def page_client(
    page: "Page", page_origin: str, library: str, transport: str, url: str, **options: object
) -> PageClient:
    """Open a page of an origin and load a client into it: faye by the server's own script, as its pages do.

    Any document of the origin will do: what matters is that it came from there over the network, for a browser asks
    where a page came from before it lets it talk to this machine.
    """
    client = PageClient(page, page_origin, library, transport, url, options)
    await page.expose_function("report", client.report)
    await page.route(f"{page_origin}/__test/**", _serve)
    await client.load()
    return client


async def _serve(route: "Route") -> None:
    """Answer for the page's origin with the files the page loads."""
    name = route.request.url.rpartition("/__test/")[2]
    folder, _, file = name.rpartition("/")
    path = (COMETD if folder == "cometd" else HERE) / file
    await route.fulfill(body=path.read_text(), content_type="text/javascript")
