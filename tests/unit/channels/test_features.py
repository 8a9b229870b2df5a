"""Who gets a feature, by percentage and by team."""

from hypothesis import given
from hypothesis import strategies as st

from channels.features import Feature, Switches, is_on, of_channel, of_event, of_message, place_of
from channels.routes import ROUTES
from channels.stores.records import FeatureSwitch

users = st.text(min_size=1, max_size=40)
percentages = st.integers(0, 100)


def switch(percentage: int, *teams: str, name: str = "presence") -> FeatureSwitch:
    return FeatureSwitch(name=name, percentage=percentage, teams=teams)


class TestPercentage:
    @given(users, percentages, percentages)
    def test_raising_it_takes_the_feature_from_nobody(self, user_id: str, one: int, other: int) -> None:
        low, high = sorted((one, other))
        assert is_on(switch(high), user_id, ()) >= is_on(switch(low), user_id, ())

    @given(users)
    def test_none_is_nobody_and_a_hundred_is_everybody(self, user_id: str) -> None:
        assert not is_on(switch(0), user_id, ())
        assert is_on(switch(100), user_id, ())

    def test_ten_percent_are_about_a_tenth(self) -> None:
        chosen = sum(is_on(switch(10), f"cc_{number}", ()) for number in range(5_000))
        assert 425 <= chosen <= 575

    def test_a_user_s_place_is_the_same_in_every_version(self) -> None:
        assert [place_of(f"cc_{number:03}") for number in (1, 2, 3)] == [1258, 4003, 5286]

    def test_nobody_in_particular_has_only_what_everybody_has(self) -> None:
        assert not is_on(switch(99), None, ())
        assert is_on(switch(100), None, ())


class TestTeams:
    @given(users)
    def test_a_team_gets_it_whole_whatever_the_percentage(self, user_id: str) -> None:
        assert is_on(switch(0, "team_east"), user_id, {"team_east", "team_west"})
        assert not is_on(switch(0, "team_east"), user_id, {"team_west"})


class TestSwitches:
    def test_what_was_never_switched_has_the_default(self) -> None:
        switches = Switches([switch(0, name="locks")], default_percentage=100)
        assert switches.on_for("cc_001", ()) == frozenset(Feature) - {Feature.LOCKS}

    def test_names_of_another_version_change_nothing(self) -> None:
        assert Switches([switch(0, name="telepathy")], default_percentage=100).on_for("cc_001", ()) == frozenset(
            Feature
        )

    def test_know_the_teams_to_ask_about(self) -> None:
        switches = Switches([switch(0, "a", "b"), switch(5, "b", "c", name="feed")], default_percentage=0)
        assert switches.teams == {"a", "b", "c"}


class TestWhatBelongsToAFeature:
    def test_every_event_of_every_channel_belongs_to_one(self) -> None:
        roots = {(road.channel.split("/")[1], kind) for kind, roads in ROUTES.items() for road in roads}
        assert {of_event(root, kind) for root, kind in roots} == set(Feature)

    def test_events_of_one_task_are_told_apart_by_type(self) -> None:
        assert of_event("task", "task.updated") is Feature.LIVE_UPDATES
        assert of_event("task", "presence.typing") is Feature.PRESENCE
        assert of_event("task", "presence.field_locked") is Feature.LOCKS

    def test_a_task_s_channel_needs_no_single_feature_and_its_presence_does(self) -> None:
        assert of_channel(("task", "1")) is None
        assert of_channel(("task", "1", "presence")) is Feature.PRESENCE
        assert of_channel(("task_list", "team", "east")) is Feature.LIVE_UPDATES
        assert of_channel(("chat", "1")) is None

    def test_what_takes_a_lock_needs_locks_and_what_lets_it_go_does_not(self) -> None:
        assert of_message("lock.acquire") is Feature.LOCKS
        assert of_message("lock.release") is None
        assert of_message("presence.heartbeat") is None
