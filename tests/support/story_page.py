"""A stock client in Node as the :class:`extensions.care.story.Wire` of one person."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from extensions.care.story import Event, Wire
from tests.support.services.node import TESTS, node_command

PAGE = TESTS / "scenarios" / "story_page.cjs"
MODULES: Path = TESTS / "node_modules"
PATIENCE_S = 30.0


class NodeWire:
    """Speaks to the client by lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._told: dict[str, Callable[[Event], None]] = {}
        self._asked: dict[int, asyncio.Future[str | None]] = {}
        self.ready = asyncio.Event()

    async def subscribe(self, channel: str, told: Callable[[Event], None]) -> None:
        """See :class:`Wire`."""
        self._told[channel] = told
        error = await self._ask("subscribe", channel)
        if error is not None:
            raise PermissionError(error)

    async def send(self, channel: str, data: Event) -> None:
        """See :class:`Wire`."""
        error = await self._ask("publish", channel, data)
        assert error is None, error

    async def read(self) -> None:
        """Take in what the client reports, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            report: dict[str, Any] = json.loads(line)
            if "event" in report:
                self._told[report["channel"]](report["event"])
            elif "id" in report:
                self._asked.pop(report["id"]).set_result(report["error"])
            else:
                self.ready.set()

    async def _ask(self, command: str, *words: object) -> str | None:
        number = next(self._ids)
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": command, "words": words}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            return await answer


@asynccontextmanager
async def stock_client(library: str, url: str, token: str) -> AsyncIterator[Wire]:
    """Run the stock client of ``faye`` or ``cometd`` in Node for as long as the context is open."""
    command = node_command(PAGE, str(MODULES), library, url, token)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    wire = NodeWire(process)
    reading = asyncio.create_task(wire.read())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await wire.ready.wait()
        yield wire
    finally:
        process.kill()
        await process.wait()
        await reading
