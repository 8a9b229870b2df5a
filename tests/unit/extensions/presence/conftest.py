from collections.abc import AsyncIterator

import pytest

from tests.unit.extensions.presence.world import Client, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.server.start()
    yield world
    await world.server.stop()


@pytest.fixture
async def sarah(world: World) -> Client:
    return await world.client()


@pytest.fixture
async def mike(world: World) -> Client:
    return await world.client("cc_789", "Mike Chen", "clinician")


@pytest.fixture
async def watched(world: World, sarah: Client, mike: Client) -> Client:
    """Mike watches the task that Sarah is on."""
    await mike.send("/meta/subscribe", subscription="/task/task_1")
    await sarah.open()
    await world.pass_time(0.1)
    mike.heard()
    return mike
