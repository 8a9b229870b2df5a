"""The design's page with the stock clients of Faye and CometD, on the machine's clock."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import local_server
from tests.support.services.node import node_command
from tests.unit.extensions.presence.test_over_the_wire import KEY, SECTIONS

PAGE = Path(__file__).with_name("page.js")
MODULES = Path(__file__).parents[3] / "node_modules"
PATIENCE_S = 30.0


class NodePage:
    """A page in Node."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def tell(self, kind: str, **fields: object) -> None:
        """Have the page send a message about presence."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"type": kind, "task_id": "task_1", **fields}).encode() + b"\n")
        await self.process.stdin.drain()

    async def prints(self, **wanted: object) -> dict[str, Any]:
        """Return the next line that has these fields, skipping others."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            async for line in self.process.stdout:
                found: dict[str, Any] = json.loads(line)
                if wanted.items() <= found.items():
                    return found
        raise AssertionError(f"the page ended before {wanted}")


@pytest.fixture
async def pages(node_js: str) -> AsyncIterator[tuple[NodePage, NodePage]]:
    """Sarah with Faye and Mike with CometD, both subscribed to the task; outages of half a second are forgiven."""
    sections = {**SECTIONS, "extensions": {**SECTIONS["extensions"], "presence": {"grace_ms": 500}}}
    async with local_server(sections) as server:
        opened = []
        for kind, user_id, name in (("faye", "cc_456", "Sarah Johnson"), ("cometd", "cc_789", "Mike Chen")):
            token = KEY.token(user_id, name=name, iat=time.time(), exp=time.time() + 600)
            command = node_command(PAGE, str(MODULES), kind, server.url, token)
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            page = NodePage(process)
            opened.append(page)
            await page.prints(ready=True)
        yield opened[0], opened[1]
        for page in opened:
            if page.process.returncode is None:
                page.process.kill()
            await page.process.wait()


class TestStockClients:
    async def test_they_see_each_other_come_lock_and_vanish(self, pages: tuple[NodePage, NodePage]) -> None:
        sarah, mike = pages
        await sarah.tell("presence.user_joined", user_id="cc_456", state="viewing")
        joined = await mike.prints(type="presence.user_joined")
        assert joined["user"]["user_name"] == "Sarah Johnson"
        await mike.tell("presence.user_joined", user_id="cc_789", state="editing")
        await mike.tell("lock.acquire", field_name="notes")
        locked = await sarah.prints(type="presence.field_locked")
        assert (locked["user_name"], locked["field_name"]) == ("Mike Chen", "notes")
        mike.process.kill()
        unlocked = await sarah.prints(type="presence.field_unlocked")
        assert unlocked["ended"] == "expired"
        left = await sarah.prints(type="presence.user_left")
        assert left["user_id"] == "cc_789"
