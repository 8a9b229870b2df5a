"""A coordinator who changes tasks over HTTP, of a server that may die meanwhile."""

import asyncio
from typing import Any, Self

import aiohttp

from channels.tasks.model import User
from tests.support.care_world import EAST, JOHN
from tests.support.production import Production, bearer


class Desk:
    """Sends each change until the server has acknowledged it, with the same key each time; open while in use.

    Args:
        server: The server.
        user: Who sits there.
    """

    def __init__(self, server: Production, user: User) -> None:
        self._server = server
        self._user = user
        self._restarts = 0
        self._restarted = asyncio.Condition()

    async def __aenter__(self) -> Self:
        # A connection for each request: one kept from before a restart would be dead.
        connector = aiohttp.TCPConnector(force_close=True)
        self._http = aiohttp.ClientSession(self._server.base, headers=bearer(self._user), connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def unready(self) -> str | None:
        """Return why the server says that it is not ready, None if it is."""
        async with self._http.get("/readyz") as response:
            return None if response.status == 200 else await response.text()

    async def back(self) -> None:
        """The server is there again."""
        async with self._restarted:
            self._restarts += 1
            self._restarted.notify_all()

    async def create(self, **fields: object) -> str:
        """Create a task of the team, and return its id."""
        body = {"title": "Contact member", "member_id": JOHN.id, "team_id": EAST, **fields}
        return str((await self._send("POST", "/api/tasks", body, 201))["id"])

    async def change(self, task_id: str, version: int) -> None:
        """Change a task that has a version, and so give it the next."""
        body = {"version": version, "changes": {"notes": f"after {version}"}}
        headers = {"Idempotency-Key": f"{task_id}-{version}"}
        task = await self._send("PATCH", f"/api/tasks/{task_id}", body, 200, headers)
        assert task["version"] == version + 1

    async def change_often(self, task_id: str, versions: range) -> None:
        """Change a task at each of these versions, one after the other."""
        for version in versions:
            await self.change(task_id, version)

    async def _send(
        self, method: str, path: str, body: object, status: int, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        while True:
            before = self._restarts
            try:
                async with self._http.request(method, path, json=body, headers=headers) as response:
                    found: dict[str, Any] = await response.json()
                    assert response.status == status, found
                    return found
            except aiohttp.ClientConnectionError:
                async with self._restarted:
                    while self._restarts == before:
                        await self._restarted.wait()
