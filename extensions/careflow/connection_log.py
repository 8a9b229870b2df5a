"""What kafka-python logs of connections that fail: counted, and not written down.

It writes some ten lines a second about a broker that is away. That Kafka is away, and that it is back, is told once
each by who reads from it; whatever else the library has to say is written down as before, a refused password or
certificate included.
"""

import logging
import ssl
from typing import Final

from kafka.errors import Cancelled, KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError

from extensions.careflow.metrics import Meters

_ATTEMPT: Final = "Connection failed: %s"
#: By logger, how the texts of kafka-python 3.0.12 begin that tell of a broker out of reach.
_COMPLAINTS: Final = {
    "kafka.net.manager": (_ATTEMPT, "Bootstrap "),
    "kafka.net.connection": ("%s: Connection lost: %s", "%s: Request timed out"),
    "kafka.net.transport": (
        "%s: socket disconnected",
        "%s: Error receiving network data",
        "%s: Error sending request data",
        "%s: Abort (%s)",
    ),
    "kafka.net.inet": ("DNS lookup failed for ",),
    "kafka.cluster": ("No node available for metadata refresh", "Metadata refresh: failed", "Metadata refresh loop"),
    "kafka.coordinator": ("Error sending %s to node", "Marking the coordinator dead"),
    "kafka.coordinator.heartbeat": ("Heartbeat session expired", "Unhandled Heartbeat loop error"),
    "kafka.consumer.fetcher": ("Fetch to node %s failed",),
    "kafka.producer.sender": ("%s: Error sending produce request",),
}
_AWAY: Final = (OSError, KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError, Cancelled)


class ConnectionLog(logging.Filter):
    """Takes complaints about a broker out of reach out of the log, from :meth:`install` to :meth:`remove`."""

    def __init__(self, meters: Meters) -> None:
        super().__init__()
        self._meters = meters

    def install(self) -> None:
        """Begin."""
        for name in _COMPLAINTS:
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        """End."""
        for name in _COMPLAINTS:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a record is to be written down."""
        text, values = str(record.msg), record.args if isinstance(record.args, tuple) else ()
        errors = [value for value in values if isinstance(value, BaseException)]
        if not text.startswith(_COMPLAINTS.get(record.name, ())) or not all(map(_tells_of_absence, errors)):
            return True
        if text == _ATTEMPT:
            self._meters.not_connected()
        return False


def _tells_of_absence(error: BaseException) -> bool:
    causes = [each for each in error.args if isinstance(each, BaseException)]
    return isinstance(error, _AWAY) and not isinstance(error, ssl.SSLError) and all(map(_tells_of_absence, causes))
