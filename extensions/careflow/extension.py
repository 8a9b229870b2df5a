"""The care flow as an extension: the bus, the intake behind it, and the relays in front of it."""

from bayeux_server.server.extension import Extension
from extensions.careflow.announcer import Announcer
from extensions.careflow.backoff import Backoff
from extensions.careflow.config import CareflowConfig
from extensions.careflow.intake import Intake
from extensions.careflow.ports import EventBus, Outbox
from extensions.careflow.relay import Relay


class CareFlow(Extension):
    """Carries events between services and subscribers.

    Attributes:
        bus: Kafka, or the bus of the process.
        intake: What shows events to subscribers; its ``absorb`` may be set until the start.
        announcer: Tells other services of presence.
    """

    name = "careflow"

    def __init__(
        self,
        config: CareflowConfig,
        bus: EventBus,
        intake: Intake,
    ) -> None:
        self.bus = bus
        self.intake = intake
        self.announcer = Announcer(config, bus)
        self._config = config
        self._relays: list[Relay] = []
        self._started = False

    @property
    def uses_kafka(self) -> bool:
        """Whether events go further than this process."""
        return bool(self._config.bootstrap_servers)

    def relay(self, outbox: Outbox) -> Relay:
        """Send what is committed to ``outbox``, from the start of the server to its stop."""
        config = self._config
        relay = Relay(
            outbox,
            self.bus,
            config.topic_of,
            Backoff(config.retry_first_ms / 1_000, config.retry_longest_ms / 1_000),
            self.intake.show,
            batch_events=config.outbox_batch_events,
        )
        self._relays.append(relay)
        if self._started:
            relay.start()
        return relay

    async def ingest(self, event_type: str, key: str, raw: bytes) -> None:
        """Send an event of a back-end service down the road of those from Kafka.

        Args:
            event_type: The event's type, which gives the topic.
            key: Events of one key stay in order: the task's id.
            raw: The event's JSON. If it is bad it becomes a dead letter: check it first where somebody can be told.

        Raises:
            BusUnavailableError: If the bus has not taken it.
        """
        await self.bus.send(self._config.topic_of(event_type), key, raw)

    async def start(self) -> None:
        """Begin to carry. Kafka may be away: events wait for it in the outbox, and are shown meanwhile."""
        await self.bus.start(self.intake.handle)
        self._started = True
        for relay in self._relays:
            relay.start()

    async def stop(self) -> None:
        """Stop the relays, then the bus, which commits what was delivered."""
        self._started = False
        for relay in self._relays:
            await relay.stop()
        await self.announcer.stop()
        await self.bus.stop()
