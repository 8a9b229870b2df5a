from collections import Counter
from dataclasses import replace

import pytest

from clients.load.plan import Plan, Scenario
from clients.load.topology import Topology, build

PLAN = Plan("http://127.0.0.1:1/", Scenario.FAN_OUT, clients=20, publishers=2)
CHAT = replace(PLAN, scenario=Scenario.CHAT, channels=10, channels_each=3, publishers=5)


def audience(topology: Topology) -> Counter[int]:
    return Counter(number for member in topology.members for number in member.expects)


class TestTopology:
    def test_in_a_fan_out_every_client_expects_every_publisher(self) -> None:
        topology = build(PLAN, "run")

        assert len(topology.members) == 22
        assert audience(topology) == {0: 20, 1: 20}
        assert topology.audience == 20
        assert {member.channels for member in topology.members[:20]} == {("/load/run/all",)}

    def test_in_a_chat_each_client_is_in_as_many_different_channels_as_asked(self) -> None:
        topology = build(CHAT, "run")

        assert all(len(set(member.channels)) == 3 for member in topology.members)
        assert len(topology.streams) == 15
        assert topology.audience == audience(topology).total() / 15

    def test_who_publishes_to_a_channel_is_in_it(self) -> None:
        for member in build(CHAT, "run").members:
            assert {stream.channel for stream in member.publishes} <= set(member.channels)

    def test_point_to_point_reaches_one_neighbour(self) -> None:
        topology = build(replace(PLAN, scenario=Scenario.POINT_TO_POINT), "run")

        assert set(audience(topology).values()) == {1}
        assert all(
            set(member.expects).isdisjoint({stream.number for stream in member.publishes})
            for member in topology.members
        )

    def test_the_asked_share_reads_slowly(self) -> None:
        topology = build(replace(PLAN, scenario=Scenario.SLOW_READERS, slow_share=0.25), "run")

        assert sum(member.slow_bytes_per_s is not None for member in topology.members) == 5

    def test_silent_channels_are_each_clients_own(self) -> None:
        topology = build(replace(PLAN, idle_channels=3), "run")

        channels = [channel for member in topology.members[:20] for channel in member.channels]
        assert len(set(channels)) == 20 * 3 + 1

    def test_every_process_computes_the_same(self) -> None:
        assert build(CHAT, "run").members == build(CHAT, "run").members
        assert build(CHAT, "run").members != build(replace(CHAT, seed=2), "run").members

    def test_more_streams_than_a_mark_can_number_are_refused(self) -> None:
        with pytest.raises(ValueError, match="at most"):
            build(replace(CHAT, clients=400_000, publishers=400_000), "run")
