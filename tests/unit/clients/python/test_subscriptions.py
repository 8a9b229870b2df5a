"""What to ask for again, and which gaps are told: each one, and each once."""

from typing import Any

import pytest

from clients.python.errors import RefusedError
from clients.python.events import Gap
from clients.python.subscription import Subscription
from clients.python.subscriptions import Subscriptions

HISTORY = "the server's history does not reach back that far"


class Owner:
    """Has its subscriptions, and collects the gaps."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.revoked: list[str] = []
        self.subscriptions = Subscriptions(self.tell_gap, self.revoked.append)

    async def forget(self, subscription: Subscription) -> None:
        self.subscriptions.drop(subscription)

    def tell_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    def add(self, channel: str, replay_from: int | None = None) -> Subscription:
        subscription = Subscription(self, channel, None, replay_from=replay_from, ext={}, max_waiting=10)
        self.subscriptions.add(subscription)
        return subscription

    def event(self, channel: str, event_id: int, **replay: Any) -> None:
        ext = {"replay": {"id": event_id, **replay}}
        self.subscriptions.deliver({"channel": channel, "data": event_id, "ext": ext})


@pytest.fixture
def owner() -> Owner:
    return Owner()


class TestAskingAgain:
    def test_it_goes_on_after_what_was_seen(self, owner: Owner) -> None:
        owner.add("/a", -2)
        owner.event("/a", 7)
        assert owner.subscriptions.replay_of("/a") == {"/a": 7}

    def test_a_pattern_goes_on_channel_by_channel(self, owner: Owner) -> None:
        owner.add("/a/*", -2)
        owner.event("/a/x", 7)
        owner.event("/a/y", 9)
        assert owner.subscriptions.replay_of("/a/*") == {"/a/*": -2, "/a/x": 7, "/a/y": 9}

    def test_of_several_subscriptions_the_one_furthest_behind_decides(self, owner: Owner) -> None:
        owner.add("/a")
        owner.event("/a", 7)
        owner.add("/a", 3)
        assert owner.subscriptions.replay_of("/a") == {"/a": 3}

    def test_minus_one_is_new_events_only(self, owner: Owner) -> None:
        owner.add("/a", -1)
        assert owner.subscriptions.replay_of("/a") == {}


class TestUnknowableGaps:
    @pytest.mark.parametrize(
        ("channel", "replay_from", "seen", "replays", "told"),
        [
            ("/a", None, True, True, False),
            ("/a", None, False, True, True),
            ("/a", -2, False, True, False),
            ("/a", 5, False, True, False),
            ("/**", None, True, True, True),
            ("/**", -2, True, True, False),
            ("/a", -2, True, False, True),
        ],
    )
    def test_what_no_history_can_tell(
        self, owner: Owner, channel: str, replay_from: int | None, seen: bool, replays: bool, told: bool
    ) -> None:
        owner.add(channel, replay_from)
        if seen:
            owner.event("/a", 7)
        assert (owner.subscriptions.unknowable_gap(channel, replays=replays) is not None) is told


class TestHistoryGaps:
    def test_one_in_the_reply_is_told_once_though_the_event_says_it_too(self, owner: Owner) -> None:
        owner.add("/a", 3)
        with owner.subscriptions.subscribing() as replied:
            replied({"ext": {"replay": {"gap": ["/a"]}}})
        owner.event("/a", 7, gap=True)
        assert owner.gaps == [Gap("/a", HISTORY)]

    def test_also_where_the_event_comes_before_the_reply(self, owner: Owner) -> None:
        owner.add("/a", 3)
        with owner.subscriptions.subscribing() as replied:
            owner.event("/a", 7, gap=True)
            replied({"ext": {"replay": {"gap": ["/a"]}}})
        assert owner.gaps == [Gap("/a", HISTORY)]

    def test_a_later_one_is_told_again(self, owner: Owner) -> None:
        owner.add("/a", 3)
        with owner.subscriptions.subscribing() as replied:
            owner.event("/a", 7, gap=True)
            replied({"ext": {"replay": {"gap": ["/a"]}}})
        owner.event("/a", 9, gap=True)
        assert len(owner.gaps) == 2

    def test_a_reply_without_one_tells_nothing(self, owner: Owner) -> None:
        with owner.subscriptions.subscribing() as replied:
            replied({"ext": {"replay": {"gap": []}}})
            replied({})
        assert owner.gaps == []


class TestRevocation:
    async def test_it_ends_all_subscriptions_of_the_channel_and_tells_once(self, owner: Owner) -> None:
        first, second, other = owner.add("/a"), owner.add("/a"), owner.add("/b")
        data = {"type": "subscription.revoked", "subscriptions": ["/a", "/unknown"]}
        owner.event("/a", 1)
        owner.subscriptions.deliver({"channel": "/service/subscriptions", "data": data})
        assert owner.revoked == ["/a"]
        assert owner.subscriptions.channels == ["/b"]
        for subscription in (first, second):
            assert (await anext(subscription)).data == 1
            with pytest.raises(RefusedError, match="403:/a:subscription_revoked"):
                await anext(subscription)
        owner.event("/b", 2)
        assert (await anext(other)).data == 2

    @pytest.mark.parametrize("data", [None, "/a", {}, {"subscriptions": []}])
    def test_what_cannot_be_read_ends_nothing(self, owner: Owner, data: object) -> None:
        owner.add("/a")
        owner.subscriptions.deliver({"channel": "/service/subscriptions", "data": data})
        assert owner.subscriptions.channels == ["/a"]
        assert owner.revoked == []
