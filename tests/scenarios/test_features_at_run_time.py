"""Features are switched by the command while a server of another process runs."""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp

from clients.python import BayeuxClient
from clients.python import Event as ClientEvent
from tests.support.server import ServerProcess

#: What is promised, seconds.
FOLLOWS_WITHIN_S = 2.0


async def test_a_running_server_follows_the_command_and_tells_its_clients(tmp_path: Path) -> None:
    database = f"extensions.care.store_url=sqlite:///{tmp_path}/care.sqlite3"
    audit = f"extensions.audit.folder={tmp_path}/audit"
    with ServerProcess(database, audit) as server:
        async with (
            aiohttp.ClientSession(server.base) as http,
            http.post("/api/demo/login", json={"user_id": "cc_001"}) as response,
        ):
            token = (await response.json())["token"]
        async with BayeuxClient(server.url, token=token) as client:
            told: asyncio.Queue[ClientEvent] = asyncio.Queue()
            await client.subscribe("/service/features", told.put)
            program = str(Path(sys.executable).with_name("bayeux-server"))
            command = [program, "features", "set", "feed", "--percent", "0", "--set", database]
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
            assert await process.wait() == 0
            began_s = time.monotonic()
            async with asyncio.timeout(10):
                event = await told.get()
            assert time.monotonic() - began_s < FOLLOWS_WITHIN_S
            assert event.data["features"]["feed"] is False
            assert event.data["features"]["presence"] is True
