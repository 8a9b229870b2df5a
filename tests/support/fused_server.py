"""``bayeux-server`` with a fuse: it kills itself, without any goodbye, at a named point of an event's road.

Run by the fault tests as ``python -m tests.support.fused_server ROAD POINT FOLDER serve ...``. Nothing of the server is
replaced: methods that an event passes are wrapped, so that the kill falls just before or just after one of them.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from bayeux_server.backends.redis import RedisBroker, RedisHistory
from bayeux_server.cli import main
from channels.services.care import CareService
from channels.services.consumer import EventConsumer
from extensions.careflow.flow import Flow
from extensions.careflow.intake import Intake
from extensions.careflow.kafka_bus import KafkaBus
from extensions.careflow.records import SHOWN_HEADER
from extensions.careflow.relay import Relay


def _is_change(_service: CareService, operation: str, *_: object) -> bool:
    return operation == "task.update"


def _is_foreign(_intake: Intake, record: Any) -> bool:
    return all(name != SHOWN_HEADER for name, _ in record.headers)


def _any(*_: object) -> bool:
    return True


class Point(NamedTuple):
    """Where a process can be killed.

    Attributes:
        owner: Class with the method.
        after: Whether the kill comes after the method rather than before it.
        times: The how manieth pass is the last: others are on their way by then.
        concerns: Tells from the method's arguments whether a pass counts.
    """

    owner: type
    method: str
    after: bool
    times: int = 5
    concerns: Callable[..., bool] = _any


#: In the order an event passes, by the part of its road.
POINTS: Final[Mapping[str, Mapping[str, Point]]] = {
    "from the change to its subscribers": {
        "committed, not yet answered": Point(CareService, "call", after=True, concerns=_is_change),
        "committed, not yet seen by the relay": Point(Relay, "relay_once", after=False),
        "taken from the outbox, not yet shown": Point(Intake, "show", after=False),
        "in the history, not yet published": Point(RedisHistory, "append", after=True),
        "published on some of its channels": Point(RedisBroker, "publish", after=True, times=7),
    },
    "from its subscribers to Kafka": {
        "shown, not yet produced": Point(KafkaBus, "send", after=False),
        "produced, not yet marked sent": Point(KafkaBus, "send", after=True),
        "marked sent": Point(Relay, "relay_once", after=True, times=3),
    },
    "from Kafka to subscribers": {
        "foreign event read, not yet in the store": Point(EventConsumer, "consume", after=False),
        "foreign event in the store, not yet published": Point(EventConsumer, "consume", after=True),
        "foreign event published, offset not yet committed": Point(Intake, "handle", after=True, concerns=_is_foreign),
        "offset committed": Point(Flow, "committed", after=True),
    },
}

#: The fuse is lit once this file is there, in the folder given: what goes before is not the test.
LIT: Final = "lit"


class Fuse:
    """Counts passes of a point, and ends the process at the last."""

    def __init__(self, times: int, lit: Path) -> None:
        self._left = times
        self._lit = lit

    def burn(self) -> None:
        """The point is passed."""
        if not self._lit.exists():
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def lay(point: Point, fuse: Fuse) -> None:
    """Wrap the method of a point."""
    setattr(point.owner, point.method, _fused(getattr(point.owner, point.method), point, fuse))


def _fused(method: Callable[..., Any], point: Point, fuse: Fuse) -> Callable[..., Any]:
    async def finish(result: Any) -> Any:
        found = await result
        fuse.burn()
        return found

    @functools.wraps(method)
    def fused(*arguments: Any, **named: Any) -> Any:
        if not point.concerns(*arguments):
            return method(*arguments, **named)
        if not point.after:
            fuse.burn()
            return method(*arguments, **named)
        result = method(*arguments, **named)
        if hasattr(result, "__await__"):
            return finish(result)
        fuse.burn()
        return result

    return fused


if __name__ == "__main__":
    road, name, folder, *arguments = sys.argv[1:]
    point = POINTS[road][name]
    lay(point, Fuse(point.times, Path(folder) / LIT))
    main(arguments)
