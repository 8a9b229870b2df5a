"""Events of tasks and presence from and to Kafka: ``careflow`` in the entry points, ``[extensions.careflow]``.

Without ``bootstrap_servers`` events go through a bus of the process. Other parts find in the web application
:data:`CAREFLOW`: the store's outbox is given to its ``relay``, and its ``intake`` takes what gives foreign task events
their effect.
"""

from typing import Final

from aiohttp import web

from bayeux_server.host import ExtensionContext
from bayeux_server.server.clock import Clock
from extensions.careflow.backoff import Backoff
from extensions.careflow.config import CareflowConfig
from extensions.careflow.extension import CareFlow
from extensions.careflow.intake import TYPES, Intake
from extensions.careflow.memory_bus import MemoryBus
from extensions.careflow.metrics import Meters, ProgressCollector
from extensions.careflow.ports import EventBus
from extensions.careflow.publisher import ServerPublisher
from extensions.careflow.seen import Seen
from extensions.presence import PRESENCE

CAREFLOW: Final = web.AppKey("careflow", CareFlow)


def factory(context: ExtensionContext) -> CareFlow:
    """Return the extension as its section says.

    Raises:
        SettingsError: Naming the key that cannot be used.
    """
    config = context.read_config(CareflowConfig).checked()
    clock = context.server.core.clock
    meters = Meters(context.registry)
    bus = _bus(config, clock, meters)
    intake = Intake(
        ServerPublisher(context.server),
        Seen(config.remembered_events),
        meters,
        topic_prefix=config.topic_prefix,
        max_record_bytes=config.max_record_bytes,
    )
    context.registry.register(ProgressCollector(bus.progress, clock.wall))
    context.add_readiness("kafka" if config.bootstrap_servers else "event_bus", bus.unready)
    extension = CareFlow(config, bus, intake)
    context.app[CAREFLOW] = extension

    async def join_presence(app: web.Application) -> None:
        presence = app.get(PRESENCE)
        if presence is not None and extension.uses_kafka:
            presence.teller.on_told.append(extension.announcer.tell)

    # At the start, for then all extensions are there, in whatever order they were made.
    context.app.on_startup.append(join_presence)
    return extension


def _bus(config: CareflowConfig, clock: Clock, meters: Meters) -> EventBus:
    if config.bootstrap_servers:
        # Kafka's client takes a while to import, which a server without Kafka need not wait for.
        from extensions.careflow.kafka_bus import KafkaBus

        return KafkaBus(config, clock, meters, topics=map(config.topic_of, sorted(TYPES)))
    backoff = Backoff(config.retry_first_ms / 1_000, config.retry_longest_ms / 1_000)
    return MemoryBus(
        clock,
        backoff,
        meters,
        high_water_records=config.high_water_records,
        send_timeout_s=config.send_timeout_ms / 1_000,
    )
