"""Features on a running server: told at the handshake and at change, and held to."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from channels.stores.records import Commit, FeatureSwitch
from channels.tasks.model import User
from extensions.features.extension import FeaturesExtension
from tests.support.care_world import EAST, EVE, MIKE, SARAH, SERVICE, CareWorld, care_sections, next_event, token_of
from tests.support.client import Client, WebSocketPeer
from tests.support.manual_clock import ManualClock
from tests.support.server import local_server

ALL = ("presence", "live_updates", "locks", "feed", "notifications")


class Rollout:
    """The clinic with switches."""

    def __init__(self, care: CareWorld) -> None:
        self.care = care
        hooks = care.server.app.server.core.hooks
        (self.extension,) = [each for each in hooks.extensions if isinstance(each, FeaturesExtension)]

    async def task(self) -> dict[str, Any]:
        """Create a task, and return it once Sarah may see it: decisions follow the store a moment later."""
        task = await self.care.task()
        await self.care.granted((SARAH.user_id, "view", "task", task["id"]))
        return task

    async def switch(self, name: str, percentage: int, *teams: str) -> None:
        """Turn a switch as the command does."""
        await self.care.store.commit(
            Commit(switches=(FeatureSwitch(name=name, percentage=percentage, teams=teams, changed_at="now"),))
        )

    async def told(self, client: Client) -> dict[str, bool]:
        """Wait for the change of a switch, and return what the client is told."""
        features: dict[str, bool] = (await next_event(client, "features.changed"))["features"]
        return features

    async def handshake(self, user: User | None) -> dict[str, Any]:
        """Shake hands as somebody, and return what the reply says of features."""
        client = Client(WebSocketPeer(self.care.http, self.care.server.url))
        ext = {} if user is None else {"auth": {"token": token_of(user)}}
        reply = await client.handshake(ext=ext)
        await client.peer.close()
        features: dict[str, Any] = reply["ext"]["features"]
        return features


@pytest.fixture
async def rollout(tmp_path: Path) -> AsyncIterator[Rollout]:
    sections = care_sections(tmp_path)
    sections["extensions"]["features"] = {}
    with capture_logs() as entries:
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(local_server(sections, clock=ManualClock()))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            care = CareWorld(server, http, stack)
            await care.prepare()
            yield Rollout(care)
    assert [entry for entry in entries if entry["log_level"] == "error"] == []


class TestHandshake:
    async def test_tells_what_the_user_has(self, rollout: Rollout) -> None:
        assert await rollout.handshake(SARAH) == dict.fromkeys(ALL, True)

    async def test_tells_a_switch_that_was_turned_before(self, rollout: Rollout) -> None:
        watching = await rollout.care.page(SARAH)
        await rollout.switch("locks", 0)
        await rollout.told(watching)
        assert await rollout.handshake(SARAH) == {**dict.fromkeys(ALL, True), "locks": False}

    async def test_gives_a_team_what_the_others_lack(self, rollout: Rollout) -> None:
        mike, eve = await rollout.care.page(MIKE), await rollout.care.page(EVE)
        await rollout.switch("feed", 0, EAST)
        assert (await rollout.told(eve))["feed"] is False
        await rollout.switch("locks", 0, "team_west")
        assert (await rollout.told(mike))["locks"] is False
        of_mike, of_eve = await rollout.handshake(MIKE), await rollout.handshake(EVE)
        assert (of_mike["feed"], of_mike["locks"]) == (True, False)
        assert (of_eve["feed"], of_eve["locks"]) == (False, True)

    async def test_gives_services_everything_and_nobody_in_particular_what_all_have(self, rollout: Rollout) -> None:
        watching = await rollout.care.page(SARAH)
        await rollout.switch("presence", 0)
        await rollout.told(watching)
        assert (await rollout.handshake(SERVICE))["presence"] is True
        assert (await rollout.handshake(None)) == {**dict.fromkeys(ALL, True), "presence": False}


class TestChange:
    async def test_is_told_to_the_sessions_it_concerns_and_answers_calls(self, rollout: Rollout) -> None:
        sarah = await rollout.care.page(SARAH)
        await rollout.switch("feed", 0)
        assert await rollout.told(sarah) == {**dict.fromkeys(ALL, True), "feed": False}
        answer = await rollout.care.call(sarah, "/service/features", {})
        assert answer["data"] == {**dict.fromkeys(ALL, True), "feed": False}
        await rollout.switch("feed", 100)
        assert await rollout.told(sarah) == dict.fromkeys(ALL, True)


class TestServerKeepsToIt:
    async def test_live_updates_stop_and_go_on_over_the_same_subscription(self, rollout: Rollout) -> None:
        care = rollout.care
        task = await rollout.task()
        sarah = await care.page(SARAH, f"/task/{task['id']}", f"/task_list/team/{EAST}")
        await rollout.switch("live_updates", 0)
        await rollout.told(sarah)
        # A service has everything, so it hears when the change has gone out.
        service = await care.page(SERVICE, f"/task/{task['id']}")
        task = await care.change(task, notes="unheard")
        await next_event(service, "task.updated")
        await rollout.switch("live_updates", 100)
        await rollout.told(sarah)
        task = await care.change(task, notes="heard")
        event = await next_event(sarah, "task.updated")
        assert (event["version"], event["task"]["notes"]) == (task["version"], "heard")

    @pytest.mark.parametrize(
        ("feature", "channel"),
        [
            ("live_updates", f"/task_list/team/{EAST}"),
            ("feed", f"/activity_feed/{EAST}"),
            ("notifications", f"/notifications/{SARAH.user_id}"),
            ("presence", "/task/{task}/presence"),
        ],
    )
    async def test_a_subscription_that_would_bring_nothing_is_refused(
        self, rollout: Rollout, feature: str, channel: str
    ) -> None:
        task = await rollout.task()
        channel = channel.format(task=task["id"])
        sarah = await rollout.care.page(SARAH, channel, f"/task/{task['id']}")
        await rollout.switch(feature, 0)
        await rollout.told(sarah)
        await sarah.unsubscribe(channel)
        assert (await sarah.subscribe(channel))["error"] == f"403:{channel}:{feature}_is_off"

    async def test_presence_ends_for_who_loses_it_and_takes_no_more(self, rollout: Rollout) -> None:
        care = rollout.care
        task = await rollout.task()
        channel = f"/task/{task['id']}"
        sarah, service = await care.page(SARAH, channel), await care.page(SERVICE, channel)
        joined = {"type": "presence.user_joined", "task_id": task["id"]}
        await care.call(sarah, "/service/presence", joined)
        care.server.advance(0.2)
        await next_event(service, "presence.user_joined")
        await rollout.switch("presence", 0)
        await rollout.told(sarah)
        care.server.advance(0.2)
        assert (await next_event(service, "presence.user_left"))["user_id"] == SARAH.user_id
        answer = await care.call(sarah, "/service/presence", joined)
        assert (answer["successful"], "presence_is_off" in str(answer)) == (False, True)

    async def test_no_lock_is_given_and_one_that_is_held_can_be_let_go(self, rollout: Rollout) -> None:
        care = rollout.care
        task = await rollout.task()
        sarah = await care.page(SARAH, f"/task/{task['id']}")
        lock = {"type": "lock.acquire", "task_id": task["id"], "field_name": "notes"}
        assert (await care.call(sarah, "/service/presence", lock))["data"]["type"] == "lock.granted"
        await rollout.switch("locks", 0)
        await rollout.told(sarah)
        refused = await sarah.publish("/service/presence", lock)
        assert refused["error"] == "403:/service/presence:locks_is_off"
        assert (await sarah.publish("/service/presence", {**lock, "type": "lock.release"}))["successful"]


class TestRolloutInMetrics:
    async def test_each_percentage_is_told(self, rollout: Rollout) -> None:
        watching = await rollout.care.page(SARAH)
        await rollout.switch("locks", 0)
        await rollout.told(watching)
        registry = rollout.care.server.app.registry
        assert registry.get_sample_value("careapp_feature_percentage", {"feature": "locks"}) == 0
        assert registry.get_sample_value("careapp_feature_percentage", {"feature": "feed"}) == 100
