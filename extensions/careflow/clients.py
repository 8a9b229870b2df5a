"""Clients of kafka-python that leave nothing behind where they cannot be made."""

import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kafka.errors import KafkaConnectionError
from kafka.net.compat import KafkaNetClient

_REACH_TIMEOUT_S: Final = 1.0


def connect(kind: type, options: Mapping[str, Any]) -> Any:
    """Return a ``KafkaConsumer``, ``KafkaProducer`` or ``KafkaAdminClient``. Blocks until a broker has answered.

    kafka-python 3.0.12 forgets the connections and the running thread of a client whose construction fails. Somebody
    who tries again for an hour, with a password that is not right any more or a broker that hangs, would drown in them;
    so they are closed here.

    Raises:
        KafkaError: If no broker answers, or the one that does refuses us.
    """
    _check_reach(options["bootstrap_servers"])
    made: list[KafkaNetClient] = []

    def make(**configs: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**configs))
        return made[-1]

    try:
        return kind(**options, kafka_client=make)
    except BaseException:
        for client in made:
            client.close()
        raise


def _check_reach(bootstrap_servers: Iterable[str]) -> None:
    """Return once one of the servers has accepted a connection: kafka-python would wait seconds for nobody."""
    for server in bootstrap_servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _REACH_TIMEOUT_S).close()
        except (OSError, ValueError):
            continue
        return
    raise KafkaConnectionError("no broker accepts connections")
