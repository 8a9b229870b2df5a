"""The story on a server as production runs it: conf/production.toml on PostgreSQL, Redis, Kafka and SpiceDB."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from channels.demo_data import RITA, TEAMS, coordinators
from channels.relations import Operation, relation_of_staff
from channels.stores.opening import store_at
from channels.stores.records import Commit
from channels.tasks.model import User
from extensions.care.aftermath import audited
from extensions.care.play import Connect, python_client
from extensions.care.story import SILENT_WITHIN_S, Cast, Line, Person, play
from tests.support.careflow import kafka_config, written
from tests.support.production import NODE, Production, bearer, fresh_token
from tests.support.story_page import stock_client

if TYPE_CHECKING:
    from extensions.careflow.config import CareflowConfig
    from tests.support.services.kafka import Kafka

SARAH, TOM = (user for index, user in enumerate(coordinators()) if index in (0, len(TEAMS)))


@pytest.fixture
def careflow(kafka_broker: "Kafka") -> "CareflowConfig":
    return kafka_config(kafka_broker.bootstrap_servers, f"t{token_hex(6)}")


@pytest.fixture
def server(
    tmp_path: Path, redis_url: str, postgres_dsn: str, careflow: "CareflowConfig", services: dict[str, Any]
) -> Production:
    return Production(
        tmp_path,
        store_url=postgres_dsn,
        redis_url=redis_url,
        careflow=careflow,
        care={"demo": True},
        authorization=services["authorization"],
    )


@asynccontextmanager
async def cast(server: Production, store_url: str, connect: Connect) -> AsyncIterator[Cast]:
    """Everybody on the stage. The revocation is another program's: it changes the database."""
    async with AsyncExitStack() as stack:

        async def enter(user: User) -> Person:
            wire = await stack.enter_async_context(connect(server.url, fresh_token(user)))
            http = await stack.enter_async_context(aiohttp.ClientSession(server.base, headers=bearer(user)))
            return Person(user.user_id, user.user_name, wire, http)

        async def revoke() -> None:
            store = store_at(store_url)
            await store.start()
            relation = relation_of_staff(RITA.user_id, RITA.user_role, TEAMS[0].id)
            await store.commit(Commit(relations=((Operation.DELETE, relation),)))
            await store.stop()

        yield Cast(await enter(SARAH), await enter(TOM), await enter(RITA), revoke)


async def tell(_: Line) -> None:
    """Nobody looks at the terminal."""


@pytest.mark.usefixtures("node_js")
class TestStoryInProduction:
    @pytest.mark.parametrize(
        "connect",
        [python_client, partial(stock_client, "faye"), partial(stock_client, "cometd")],
        ids=["python", "faye", "cometd"],
    )
    async def test_is_played_to_its_end_and_kafka_and_the_audit_have_it(
        self, server: Production, tmp_path: Path, postgres_dsn: str, careflow: "CareflowConfig", connect: Connect
    ) -> None:
        with server:
            async with cast(server, postgres_dsn, connect) as people:
                outcome = await play(people, tell)
            versions = [
                event["version"] for event in written(careflow, careflow.topic_of("task.updated"), outcome.task_id, 3)
            ]
        assert versions == sorted(versions)
        assert outcome.conflict["merged_task"]["notes"] == "Called: prefers Tuesday morning."
        assert set(outcome.redacted["task"]).isdisjoint({"title", "notes", "member_id", "member_name"})
        assert outcome.silent_after_s < SILENT_WITHIN_S
        audit = audited(tmp_path / "audit" / NODE)
        assert audit.shown_to == {SARAH.user_id, TOM.user_id}
        assert RITA.user_id in audit.revoked
