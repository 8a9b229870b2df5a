"""Whether there is a broker at all, asked before kafka-python is.

A client of kafka-python 3.0.12 whose construction fails leaves a running thread and its sockets behind: a server that
tries again for an hour would drown in them.
"""

import socket
from collections.abc import Iterable
from typing import Final

from kafka.errors import KafkaConnectionError

_TIMEOUT_S: Final = 1.0


def check_reach(bootstrap_servers: Iterable[str]) -> None:
    """Return once one of the servers, each ``host:port``, has accepted a connection. Blocks.

    Raises:
        KafkaConnectionError: If none does.
    """
    for server in bootstrap_servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S).close()
        except (OSError, ValueError):
            continue
        return
    raise KafkaConnectionError("no broker accepts connections")
