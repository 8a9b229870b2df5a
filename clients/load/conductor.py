"""Starts the worker processes, tells them what to do, watches the machine while they do it."""

import multiprocessing
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self, TypeVar, cast

from clients.load import topology
from clients.load.errors import HarnessError
from clients.load.machine import Machine, Snapshot
from clients.load.open_files import allow_open_files
from clients.load.orders import (
    Broken,
    Leave,
    Open,
    Opened,
    Order,
    Present,
    Progress,
    Publish,
    Reconnect,
    Report,
    Result,
    Sent,
    Settle,
)
from clients.load.plan import Plan, Transport
from clients.load.target import resolve
from clients.load.worker import work

# From the order to the first publish: every process must have heard of it.
HEAD_START_S = 0.3
LOOK_EVERY_S = 1.0
# Of one session: over long-polling one for the held connect, one for everything else.
SOCKETS = {Transport.WEBSOCKET: 1, Transport.LONG_POLLING: 2}
# Beyond what an order takes by its own terms, this much silence means that a worker hangs.
PATIENCE_S = 60.0

R = TypeVar("R", bound=Report)


@dataclass(slots=True)
class Outcome:
    """What came of one order, of all processes together.

    Attributes:
        results: One for each process.
        snapshots: The machine at the beginning of the measured time, each second of it, and at its end.
        before: The machine before the order was given.
    """

    results: list[Result] = field(default_factory=list)
    opened: list[Opened] = field(default_factory=list)
    before: Snapshot = field(default_factory=lambda: Snapshot(0.0))
    snapshots: list[Snapshot] = field(default_factory=list)


Watcher = Callable[[str, Sequence[Progress], Snapshot], None]
"""Called about twice a second with what is going on, the last progress of each process, and the machine."""


def _watch_nothing(_phase: str, _progress: Sequence[Progress], _snapshot: Snapshot) -> None:
    return None


class Conductor:
    """The workers of one plan; a context manager that ends them."""

    def __init__(self, plan: Plan, pid: int | None = None, watcher: Watcher = _watch_nothing) -> None:
        self.plan = plan
        self.machine = Machine(pid)
        self._watcher = watcher
        self._origin_us = time.monotonic_ns() // 1000
        # A channel segment of its own for each run: what an earlier one left behind cannot be mistaken for ours.
        self._run = secrets.token_hex(4)
        self.topology = topology.build(plan, self._run)
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._progress: dict[Connection, Progress] = {}
        self._early: list[Report] = []
        self._phase = ""
        self._looked_s = 0.0

    def __enter__(self) -> Self:
        """Start the workers.

        Raises:
            HarnessError: If the URL names no server, or there are more sessions than this machine lets us open.
        """
        try:
            target = resolve(self.plan.url, self.plan.headers)
        except ValueError as error:
            raise HarnessError(str(error)) from error
        allow_open_files(len(self.topology.members) * SOCKETS[self.plan.transport], self.plan.processes)
        # Not forked: a fork would copy the progress display's threads and the parent's memory.
        context = multiprocessing.get_context("spawn")
        for index in range(self.plan.processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=work, args=(theirs, self.plan, target, self._run, index, self._origin_us), daemon=True
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let every session disconnect, then end the workers."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            if process.is_alive():
                try:
                    pipe.send(Leave())
                except OSError:
                    continue
        for process in self._processes:
            process.join(timeout=5)
            if process.is_alive():
                process.kill()
                process.join()
        for pipe in self._pipes:
            pipe.close()

    def open(self) -> Outcome:
        """Open all sessions; the outcome says how many are ready and how long each took."""
        self._phase = "starting"
        self._gather(Present, patience_s=PATIENCE_S)
        self._phase = "opening sessions"
        outcome = Outcome(before=self.machine.look())
        self._tell(Open())
        outcome.opened = self._gather(Opened, patience_s=PATIENCE_S + self.plan.clients / 10)
        outcome.snapshots = [outcome.before, self.machine.look()]
        return outcome

    def reconnect(self) -> Outcome:
        """Cut every connection at the same moment; the outcome says how long each session took to be back."""
        self._phase = "reconnecting"
        outcome = Outcome(before=self.machine.look())
        self._tell(Reconnect(self._now_us() + round(HEAD_START_S * 1e6)))
        outcome.opened = self._gather(Opened, patience_s=PATIENCE_S)
        outcome.snapshots = [outcome.before, self.machine.look()]
        return outcome

    def publish(self, rate: float) -> Outcome:
        """Publish so that ``rate`` deliveries a second are due, then wait for the rest of them."""
        plan = self.plan
        outcome = Outcome(before=self.machine.look())
        start_us = self._now_us() + round(HEAD_START_S * 1e6)
        self._tell(Publish(start_us, rate / max(1.0, self.topology.audience)))
        measured_s = (self._origin_us + start_us) / 1e6 + plan.warm_up_s
        self._phase = "warming up"
        self._wait_until(measured_s)
        self._phase = "measuring"
        for second in range(int(plan.duration_s)):
            self._wait_until(measured_s + second)
            outcome.snapshots.append(self.machine.look())
        self._wait_until(measured_s + plan.duration_s)
        outcome.snapshots.append(self.machine.look())
        self._phase = "draining"
        sent: dict[int, int] = {}
        for report in self._gather(Sent, patience_s=PATIENCE_S):
            sent |= report.sent
        self._tell(Settle(sent))
        outcome.results = self._gather(Result, patience_s=PATIENCE_S + plan.drain_s)
        return outcome

    def idle(self) -> Outcome:
        """Hold the sessions open for the plan's duration and do nothing else."""
        self._phase = "idle"
        outcome = Outcome(before=self.machine.look())
        begin_s = time.monotonic()
        for second in range(int(self.plan.duration_s) + 1):
            self._wait_until(begin_s + second)
            outcome.snapshots.append(self.machine.look())
        return outcome

    def _now_us(self) -> int:
        return time.monotonic_ns() // 1000 - self._origin_us

    def _tell(self, order: Order) -> None:
        for pipe in self._pipes:
            pipe.send(order)

    def _wait_until(self, moment_s: float) -> None:
        while (left_s := moment_s - time.monotonic()) > 0:
            self._early += self._hear(min(left_s, LOOK_EVERY_S / 2))

    def _gather(self, kind: type[R], patience_s: float) -> list[R]:
        """Return one report of ``kind`` from each worker."""
        found: list[R] = []
        deadline_s = time.monotonic() + patience_s
        while len(found) < len(self._pipes):
            early, self._early = self._early, []
            heard = early or self._hear(LOOK_EVERY_S / 2)
            found.extend(report for report in heard if isinstance(report, kind))
            if time.monotonic() > deadline_s:
                raise HarnessError(f"a worker process gave no sign for {patience_s:.0f} s while {self._phase}")
        return found

    def _hear(self, timeout_s: float) -> list[Report]:
        """Return what the workers report within ``timeout_s``, progress apart, which goes to the watcher."""
        reports: list[Report] = []
        for ready in wait(self._pipes, timeout=timeout_s):
            pipe = cast("Connection", ready)
            try:
                report: Report = pipe.recv()
            except EOFError:
                raise HarnessError(f"a worker process of the harness was ended while {self._phase}") from None
            if isinstance(report, Broken):
                raise HarnessError(f"a worker process failed: {report.reason}")
            if isinstance(report, Progress):
                self._progress[pipe] = report
            else:
                reports.append(report)
        if time.monotonic() - self._looked_s > LOOK_EVERY_S / 2:
            self._looked_s = time.monotonic()
            self._watcher(self._phase, list(self._progress.values()), self.machine.look())
        return reports
