"""A day in the Care App: coordinators open tasks, type, save, tell a colleague, and close them again."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clients.load.fleet import Fleet
from clients.load.ledger import UNKNOWN_BASE
from clients.load.mark import Stream
from clients.load.pacer import Pacer
from clients.load.session import Session

# What a coordinator with a task open does next, and how often of a hundred times.
WITH_A_TASK = {"type": 62, "save": 14, "tell": 8, "close": 16}
WITHOUT_ONE = {"open": 90, "tell": 10}


@dataclass(slots=True)
class Coordinator:
    """One session's part in the day."""

    session: Session
    streams: dict[str, Stream] = field(default_factory=dict)
    task: str = ""
    is_moving: bool = False


class CareDay(Pacer):
    """Acts of coordinators in open loop: ``rate`` acts a second in all, counted in ``acts``."""

    def __init__(self, fleet: Fleet, sessions: Sequence[Session], seed: int) -> None:
        super().__init__(fleet, sessions, batch=1)
        self._lot = random.Random(seed)
        self._coordinators = {
            id(session): Coordinator(session, {stream.channel: stream for stream in session.member.publishes})
            for session in sessions
        }
        self._heard: dict[str, list[int]] = {}
        for stream in fleet.streams.values():
            self._heard.setdefault(stream.channel, []).append(stream.number)

    def act(self, session: Session, due_us: int) -> None:
        """Let the coordinator of ``session`` do what it would do next."""
        coordinator = self._coordinators[id(session)]
        if coordinator.is_moving:
            return  # its task is just being opened or closed
        choices = WITH_A_TASK if coordinator.task else WITHOUT_ONE
        name = self._lot.choices(list(choices), weights=list(choices.values()))[0]
        self.acts[name] += 1
        acts: dict[str, Callable[[Coordinator, int], None]] = {
            "open": self._open,
            "close": self._close,
            "type": lambda one, due: self._publish(one, [f"{one.task}/presence"], due),
            "save": lambda one, due: self._publish(one, [one.task, *self._team_channels(one)], due),
            "tell": lambda one, due: self._publish(one, [self._colleague_channel(one)], due),
        }
        acts[name](coordinator, due_us)

    def _publish(self, coordinator: Coordinator, channels: Sequence[str], due_us: int) -> None:
        coordinator.session.publish([coordinator.streams[channel].message(due_us) for channel in channels])
        self.sent += len(channels)

    def _team_channels(self, coordinator: Coordinator) -> list[str]:
        return [
            channel for channel in coordinator.streams if "/task_list/team/" in channel or "/activity_feed/" in channel
        ]

    def _colleague_channel(self, coordinator: Coordinator) -> str:
        return next(channel for channel in coordinator.streams if "/notifications/" in channel)

    def _open(self, coordinator: Coordinator, _due_us: int) -> None:
        tasks = [channel.removesuffix("/presence") for channel in coordinator.streams if channel.endswith("/presence")]
        task = self._lot.choice(tasks)
        expected = coordinator.session.ledger.expected
        # Before the request: the first event may come before its reply.
        for number in self._streams_of(task):
            expected[number] = UNKNOWN_BASE

        def opened(successful: bool) -> None:
            coordinator.is_moving = False
            if successful:
                coordinator.task = task
            else:
                self._forget(coordinator, task)

        coordinator.is_moving = True
        coordinator.session.request("/meta/subscribe", [task, f"{task}/presence"], opened)

    def _close(self, coordinator: Coordinator, _due_us: int) -> None:
        task, coordinator.task, coordinator.is_moving = coordinator.task, "", True

        def closed(_successful: bool) -> None:
            coordinator.is_moving = False
            self._forget(coordinator, task)

        coordinator.session.request("/meta/unsubscribe", [task, f"{task}/presence"], closed)

    def _forget(self, coordinator: Coordinator, task: str) -> None:
        for number in self._streams_of(task):
            coordinator.session.ledger.forget(number)

    def _streams_of(self, task: str) -> list[int]:
        return [*self._heard.get(task, ()), *self._heard.get(f"{task}/presence", ())]
