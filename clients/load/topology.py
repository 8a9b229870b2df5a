"""Who subscribes to what and who publishes where: computed alike by every process from the plan and its seed."""

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace

from clients.load.desk import Desk
from clients.load.mark import MAX_STREAMS, Stream
from clients.load.plan import Plan, Scenario


@dataclass(frozen=True, slots=True)
class Member:
    """One client of the load.

    Attributes:
        channels: What it subscribes to when it opens.
        publishes: The streams it publishes.
        expects: Numbers of the streams that it must receive whole.
        slow_bytes_per_s: How fast it reads; None: as fast as it can.
    """

    index: int
    channels: tuple[str, ...] = ()
    publishes: tuple[Stream, ...] = ()
    expects: tuple[int, ...] = ()
    slow_bytes_per_s: int | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """All clients and streams of a run.

    Attributes:
        audience: Mean number of subscribers who receive a publish.
    """

    members: tuple[Member, ...]
    streams: dict[int, Stream] = field(default_factory=dict)
    audience: float = 0.0


def build(plan: Plan, run: str) -> Topology:
    """Return the clients of ``plan``; ``run`` is a channel segment that no other run uses.

    Raises:
        ValueError: If there would be more streams than a mark can number.
    """
    base = f"{plan.prefix}/{run}"
    if plan.scenario in (Scenario.FAN_OUT, Scenario.SLOW_READERS):
        return _fan_out(plan, base)
    if plan.scenario is Scenario.CHAT:
        return _chat(plan, base)
    if plan.scenario is Scenario.POINT_TO_POINT:
        return _point_to_point(plan, base)
    if plan.scenario is Scenario.CARE_DAY:
        return _care_day(plan, base)
    return _link(plan, base, [(f"{base}/{index}",) for index in range(plan.clients)], {})


def _fan_out(plan: Plan, base: str) -> Topology:
    subscriptions: list[tuple[str, ...]] = [(f"{base}/all",)] * plan.clients
    publications: dict[int, tuple[str, ...]] = {
        plan.clients + number: (f"{base}/all",) for number in range(plan.publishers)
    }
    return _link(plan, base, subscriptions, publications)


def _chat(plan: Plan, base: str) -> Topology:
    lot = random.Random(plan.seed)
    rooms = [f"{base}/room/{number}" for number in range(plan.channels)]
    subscriptions = [tuple(lot.sample(rooms, plan.channels_each)) for _ in range(plan.clients)]
    return _link(plan, base, subscriptions, {index: subscriptions[index] for index in range(plan.publishers)})


def _point_to_point(plan: Plan, base: str) -> Topology:
    subscriptions: list[tuple[str, ...]] = [(f"{base}/{index}",) for index in range(plan.clients)]
    partners = {index: subscriptions[(index + 1) % plan.clients] for index in range(plan.clients)}
    return _link(plan, base, subscriptions, partners)


def _care_day(plan: Plan, base: str) -> Topology:
    desks = [Desk(base, number, plan.tasks_per_team) for number in range(plan.clients)]
    publications = {desk.number: desk.publishes(plan.clients) for desk in desks}
    topology = _link(plan, base, [desk.lists for desk in desks], publications)
    # The rate counts acts, whatever they cause.
    return replace(topology, audience=1.0)


def _link(
    plan: Plan, base: str, subscriptions: list[tuple[str, ...]], publications: dict[int, tuple[str, ...]]
) -> Topology:
    pairs = sum(map(len, publications.values()))
    if pairs > MAX_STREAMS:
        raise ValueError(
            f"at most {MAX_STREAMS:,} pairs of publisher and channel can be told apart, and these are {pairs:,}:"
            " lower --clients, --publishers or --channels-each"
        )
    streams: dict[int, Stream] = {}
    by_channel: dict[str, list[int]] = defaultdict(list)
    by_publisher: dict[int, list[Stream]] = defaultdict(list)
    for publisher, channels in publications.items():
        for channel in channels:
            stream = Stream(len(streams), channel, publisher)
            streams[stream.number] = stream
            by_channel[channel].append(stream.number)
            by_publisher[publisher].append(stream)
    slow = round(plan.clients * plan.slow_share)
    members = []
    deliveries = 0
    for index in range(max([len(subscriptions), *(publisher + 1 for publisher in publications)])):
        channels = subscriptions[index] if index < len(subscriptions) else ()
        expects = tuple(number for channel in channels for number in by_channel[channel])
        deliveries += len(expects)
        silent = tuple(f"{base}/silent/{index}/{number}" for number in range(plan.idle_channels)) if channels else ()
        pace = plan.slow_bytes_per_s if index < slow else None
        members.append(Member(index, channels + silent, tuple(by_publisher[index]), expects, pace))
    return Topology(tuple(members), streams, deliveries / len(streams) if streams else 0.0)
