"""Our process is killed while it shows patient data; what a client has received is in the audit log."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from extensions.audit.segments import segment_paths, verify
from tests.support.client import Client, WebSocketPeer
from tests.support.server import ServerProcess

USER = "cc_001"
#: After so many events received the process dies: in the first sync of the log, and while many events follow.
DEATHS = (1, 7, 40, 120)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as http:
        yield http


class Page:
    """A coordinator of the demo who watches a list of tasks, and changes them without a pause."""

    def __init__(self, http: aiohttp.ClientSession, server: ServerProcess) -> None:
        self._http = http
        self._server = server
        self._headers: dict[str, str] = {}
        self.peer = WebSocketPeer(http, server.url)
        self.client = Client(self.peer)
        #: Version and id of each task that an answer has shown.
        self.answered: list[tuple[str, int]] = []

    async def open(self) -> list[dict[str, Any]]:
        """Log in and watch one's own tasks; return them."""
        async with self._http.post(f"{self._server.base}/api/demo/login", json={"user_id": USER}) as response:
            token = (await response.json())["token"]
        self._headers = {"Authorization": f"Bearer {token}"}
        assert (await self.client.handshake(ext={"auth": {"token": token}}))["successful"]
        assert (await self.client.connect(advice={"timeout": 0}))["successful"]
        assert (await self.client.subscribe(f"/task_list/assigned_to/{USER}"))["successful"]
        parameters = {"assigned_to": USER, "status": "pending"}
        address = f"{self._server.base}/api/tasks"
        async with self._http.get(address, params=parameters, headers=self._headers) as response:
            tasks: list[dict[str, Any]] = (await response.json())["items"]
        return tasks

    async def change_without_end(self, task: dict[str, Any]) -> None:
        """Change a task again and again, until the server is gone."""
        address = f"{self._server.base}/api/tasks/{task['id']}"
        for number in itertools.count():
            body = {"version": task["version"], "changes": {"notes": f"Called {number} times."}}
            try:
                async with self._http.patch(address, json=body, headers=self._headers) as response:
                    task = await response.json()
            except (aiohttp.ClientError, ConnectionError):
                return
            self.answered.append((task["id"], task["version"]))


def recorded(folder: Path) -> list[dict[str, Any]]:
    """All audit events; a line that was being written at the kill is none."""
    lines = [line for path in segment_paths(folder) for line in path.read_bytes().splitlines(keepends=True)]
    return [json.loads(line)["event"] for line in lines if line.endswith(b"\n")]


def event_ids(events: list[dict[str, Any]]) -> set[str]:
    """The ids of the events whose disclosure to the user was recorded."""
    shown = [event for event in events if USER in {agent["who"]["identifier"]["value"] for agent in event["agent"]}]
    details = [detail for event in shown for entity in event["entity"] for detail in entity.get("detail", ())]
    return {detail["valueString"] for detail in details if detail["type"] == "event_id"}


@pytest.mark.parametrize("death", DEATHS)
async def test_what_was_shown_before_a_kill_is_in_the_audit_log(http: aiohttp.ClientSession, death: int) -> None:
    with ServerProcess() as server:
        page = Page(http, server)
        tasks = await page.open()
        assert tasks
        changing = [asyncio.create_task(page.change_without_end(task)) for task in tasks]
        for _ in range(death):
            await page.client.event()
        server.kill()
        await asyncio.gather(*changing)
        await page.peer.ended()
        received = [message["data"] for array in page.peer.arrays for message in array if "data" in message]
        (folder,) = (server.folder / "data" / "audit").iterdir()
        events = recorded(folder)
        assert verify(folder, None).broken is None
    assert len(received) >= death
    assert not any(event["task"].get("redacted") for event in received)
    assert {event["event_id"] for event in received} <= event_ids(events)
    asked = [event for event in events if event["entity"][0]["detail"][0]["valueString"] == "request"]
    assert len(asked) >= len(page.answered)
