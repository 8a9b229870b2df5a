"""An operator finds what a running server could not use, and has it tried again, with the command that ships."""

import asyncio
import json
import sys
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec

from tests.contracts.event_bus import eventually
from tests.support.careflow import kafka_config, produce, task_updated
from tests.support.client import Client, WebSocketPeer
from tests.support.production import as_toml
from tests.support.server import local_server

if TYPE_CHECKING:
    from extensions.careflow.config import CareflowConfig
    from tests.support.services.kafka import Kafka


class Operator:
    """Runs ``bayeux-server dead-letters``."""

    def __init__(self, config: "CareflowConfig") -> None:
        values = {"bootstrap_servers": config.bootstrap_servers, "dead_letter_topic": config.dead_letter_topic}
        keys = [f"extensions.careflow.{name}={as_toml(value)}" for name, value in values.items()]
        self._flags = [word for key in keys for word in ("--set", key)]

    async def run(self, *arguments: str) -> str:
        """Return what the command prints, errors included."""
        program = str(Path(sys.executable).with_name("bayeux-server"))
        process = await asyncio.create_subprocess_exec(
            *(program, "dead-letters", *arguments, *self._flags),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed
        return printed.decode()

    async def letters(self) -> list[dict[str, Any]]:
        """Return the letters that it lists."""
        return [json.loads(line) for line in (await self.run("list")).splitlines()]


async def test_a_letter_is_found_shown_and_redriven_while_others_go_on(kafka_broker: "Kafka") -> None:
    config = kafka_config(kafka_broker.bootstrap_servers, f"t{token_hex(6)}")
    topic, operator = config.topic_of("task.updated"), Operator(config)
    async with (
        local_server({"extensions": {"careflow": msgspec.to_builtins(config)}}) as server,
        aiohttp.ClientSession() as http,
    ):
        page = await Client(WebSocketPeer(http, server.url)).begin()
        await page.subscribe("/task/task_789")
        bad = task_updated("two", task={"id": "task_789", "title": "John Doe"})
        await asyncio.to_thread(produce, config, topic, "task_789", bad, task_updated(2))
        assert (await page.event())["data"]["version"] == 2

        async def there() -> bool:
            return len(await operator.letters()) == 1

        await eventually(there)
        [letter] = await operator.letters()
        assert (letter["topic"], letter["reason"]) == (topic, "version: type, found string")
        shown = await operator.run("show", letter["id"])
        assert json.loads(shown) == letter
        assert "John" not in shown

        assert await operator.run("redrive", letter["id"]) == f"sent again: {letter['id']}\n"

        async def again() -> bool:
            return [each["offset"] > letter["offset"] for each in await operator.letters()] == [True]

        # It is as bad as before, and told of anew from where it is now.
        await eventually(again)
        await asyncio.to_thread(produce, config, topic, "task_789", task_updated(3))
        assert (await page.event())["data"]["version"] == 3
        await page.peer.close()
