"""One process of the load: its share of the sessions, told what to do by the conductor through a pipe."""

import contextlib
import gc
import json
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from operator import methodcaller

from clients.load import topology
from clients.load.fleet import Fleet
from clients.load.opening import Opening
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
    Sent,
    Settle,
)
from clients.load.plan import Plan, Scenario, Transport
from clients.load.polling_session import PollingSession
from clients.load.publishing import Publishing
from clients.load.reactor import READ
from clients.load.session import Session
from clients.load.sieve import EVERY_CHUNK, NOTHING, SINGLE_FRAMES
from clients.load.target import Target
from clients.load.topology import Topology
from clients.load.usage import Usage
from clients.load.websocket_session import WebSocketSession

PROGRESS_EVERY_S = 0.5
LAST_WORDS_S = 0.2


def work(pipe: Connection, plan: Plan, target: Target, run: str, index: int, origin_us: int) -> None:
    """Serve the conductor at the other end of ``pipe`` until it says Leave: the entry point of a worker process."""
    # Ctrl-C goes to the whole group of processes; the conductor decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Worker(pipe, plan, target, run, index, origin_us).serve()
    except EOFError:
        return
    except Exception as error:
        with contextlib.suppress(OSError):
            pipe.send(Broken(f"{type(error).__name__}: {error}"))
        raise


def _worth_remembering(layout: Topology) -> int:
    if len({member.expects for member in layout.members if member.expects}) == 1:
        return EVERY_CHUNK
    return SINGLE_FRAMES if layout.audience > 1 else NOTHING


class Worker:
    """The sessions ``index``, ``index + processes``, ... of the plan."""

    def __init__(self, pipe: Connection, plan: Plan, target: Target, run: str, index: int, origin_us: int) -> None:
        layout = topology.build(plan, run)
        self._pipe, self._plan = pipe, plan
        self._fleet = Fleet(target, layout.streams, plan.payload_bytes, origin_us)
        self._fleet.handshake_ext = json.loads(plan.handshake_ext) if plan.handshake_ext else {}
        self._fleet.sieve.remembers = _worth_remembering(layout)
        kind = WebSocketSession if plan.transport is Transport.WEBSOCKET else PollingSession
        members = layout.members[index :: plan.processes]
        self._sessions: list[Session] = [kind(member, self._fleet) for member in members]
        publishers = sum(bool(member.publishes) for member in layout.members)
        self._share = sum(bool(member.publishes) for member in members) / max(1, publishers)
        self._streams = [stream for member in members for stream in member.publishes]
        self._publishing: Publishing | None = None
        self._opening: Opening | None = None
        self._leaving = False

    def serve(self) -> None:
        """Run until told to leave."""
        self._fleet.reactor.watch(self._pipe.fileno(), READ, lambda _mask: self._obey(self._pipe.recv()))
        # What is built now lives as long as the process: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        self._say(Present())
        self._fleet.reactor.run_while(lambda: not self._leaving)
        self._fleet.reactor.close()

    def _say(self, report: Report) -> None:
        self._pipe.send(report)

    def _obey(self, order: Order) -> None:
        match order:
            case Open():
                rate = self._plan.rate / self._plan.processes if self._plan.scenario is Scenario.HANDSHAKE_STORM else 0
                self._open(self._sessions, methodcaller("open"), concurrency=self._plan.concurrency, rate=rate)
            case Reconnect():
                when_ns = (order.start_us + self._fleet.recorder.origin_us) * 1000
                self._fleet.reactor.call_at(when_ns, self._cut_all)
            case Publish():
                self._publishing = Publishing(self._fleet, self._plan, self._sessions, self._share, self._say)
                self._publishing.start(order, self._all_sent)
            case Settle() if self._publishing is not None:
                self._publishing.settle(order.sent)
            case Leave():
                for session in self._sessions:
                    session.leave()
                self._fleet.reactor.call_later(LAST_WORDS_S, self._stop)

    def _stop(self) -> None:
        self._leaving = True

    def _all_sent(self) -> None:
        self._say(Sent({stream.number: stream.next_sequence for stream in self._streams}))

    def _cut_all(self) -> None:
        alive = [session for session in self._sessions if not session.is_over]
        for session in alive:
            session.hang_up(abruptly=True)
        self._open(alive, methodcaller("resume"), concurrency=len(alive), rate=0)

    def _open(
        self, sessions: Sequence[Session], begin: Callable[[Session], None], *, concurrency: int, rate: float
    ) -> None:
        usage = Usage(self._fleet.reactor)

        def done() -> None:
            self._opening = None
            self._say(Opened(self._fleet.tally, opening.row, usage.cpu_s, usage.wall_s, usage.busy_share))

        self._opening = opening = Opening(self._fleet, sessions, begin, then=done)
        self._report_opening()
        opening.start(concurrency=concurrency, rate=rate)

    def _report_opening(self) -> None:
        if self._opening is not None:
            self._say(Progress(self._fleet.tally.ready, self._fleet.tally.failed.total()))
            self._fleet.reactor.call_later(PROGRESS_EVERY_S, self._report_opening)
