"""``[extensions.careflow]``: where the events come from and go to, and how much may be on its way."""

import re
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from bayeux_server.settings import SettingsError

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]
TopicName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,249}$")]

SECTION: Final = "extensions.careflow"


class Security(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.careflow.security]``: how to reach a broker that asks who we are.

    Attributes:
        sasl_mechanism: Such as ``PLAIN`` or ``SCRAM-SHA-512``; with a ``SASL_`` protocol only.
        sasl_password: Better given as ``BAYEUX_EXTENSIONS__CAREFLOW__SECURITY__SASL_PASSWORD``.
        ca_file: PEM of who may sign the broker's certificate; the system's if not given.
        certificate_file: PEM of our own certificate, where the broker wants one.
        check_hostname: Whether the certificate must name the host.
    """

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_password: str | None = None
    check_hostname: bool = True

    def options(self) -> dict[str, Any]:
        """Return the same in the words of kafka-python; what is not set is left out."""
        options = {
            "security_protocol": self.protocol,
            "ssl_check_hostname": self.check_hostname,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
            "ssl_cafile": self.ca_file,
            "ssl_certfile": self.certificate_file,
            "ssl_keyfile": self.key_file,
            "ssl_password": self.key_password,
        }
        return {name: value for name, value in options.items() if value is not None}


class CareflowConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.careflow]``.

    Attributes:
        bootstrap_servers: ``host:port`` of brokers to begin with. Empty: no Kafka, events go through this process only.
        topics_pattern: Regular expression of the topics to read; it must match whole names.
        topic_prefix: Begins the name of each topic to write: ``careflow.`` and the type of the event.
        group_id: The consumer group; one for all nodes, so that each record is read by one of them.
        dead_letter_topic: Where the origin of a record that cannot be used is told.
        start_from: Where a group that is new, or a topic that is new to it, begins.
        create_topics: Make missing topics at start, with the broker's defaults.
        high_water_records: At so many records waiting, or ``high_water_bytes``, a partition is paused.
        low_water_records: At or below so many it goes on.
        max_poll_records: Records taken from the client library at once.
        max_record_bytes: Larger records are dead letters.
        commit_interval_ms: Offsets of what was delivered are committed so often.
        metadata_max_age_ms: A topic made by others is noticed within this time.
        session_timeout_ms: A node that died is replaced after this time.
        retry_first_ms: Wait before the second try of what failed for a passing reason; doubled each time.
        retry_longest_ms: The longest such wait.
        send_timeout_ms: An event that is not acknowledged within it stays in the outbox and is sent again.
        linger_ms: How long the producer waits for company.
        max_waiting_sends: Events handed to the producer and not acknowledged.
        outbox_batch_events: Events taken from the outbox at once.
        remembered_events: Events and versions remembered to drop what was shown already.
    """

    bootstrap_servers: tuple[str, ...] = ()
    topics_pattern: str = r"careflow\.(task|presence|notification|activity)\.[a-z_]+"
    topic_prefix: TopicName = "careflow."
    group_id: Annotated[str, Meta(min_length=1, max_length=255)] = "careflow-realtime"
    dead_letter_topic: TopicName = "careflow.dead_letter"
    start_from: Literal["earliest", "latest"] = "earliest"
    create_topics: bool = True
    high_water_records: Count = 1_000
    low_water_records: Count = 250
    high_water_bytes: Annotated[int, Meta(ge=1_024)] = 16_777_216
    max_poll_records: Count = 500
    max_record_bytes: Annotated[int, Meta(ge=1_024, le=16_777_216)] = 1_048_576
    commit_interval_ms: Milliseconds = 250
    metadata_max_age_ms: Annotated[int, Meta(ge=100, le=3_600_000)] = 5_000
    session_timeout_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 15_000
    retry_first_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    retry_longest_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 10_000
    send_timeout_ms: Annotated[int, Meta(ge=100, le=600_000)] = 2_000
    linger_ms: Annotated[int, Meta(ge=0, le=1_000)] = 2
    max_waiting_sends: Count = 10_000
    outbox_batch_events: Annotated[int, Meta(ge=1, le=10_000)] = 200
    remembered_events: Count = 50_000
    security: Security = field(default_factory=Security)

    def checked(self) -> "CareflowConfig":
        """Return itself, if its values make sense together.

        Raises:
            SettingsError: Naming the key, its value and what is allowed.
        """
        if self.low_water_records >= self.high_water_records:
            raise SettingsError(
                f"{SECTION}.low_water_records = {self.low_water_records}: "
                f"must be below high_water_records, {self.high_water_records}"
            )
        try:
            pattern = re.compile(self.topics_pattern)
        except re.error as error:
            raise SettingsError(
                f"{SECTION}.topics_pattern = {self.topics_pattern!r}: not a regular expression: {error}"
            ) from None
        if pattern.fullmatch(self.dead_letter_topic):
            raise SettingsError(
                f"{SECTION}.dead_letter_topic = {self.dead_letter_topic!r}: must not match topics_pattern"
            )
        return self

    def topic_of(self, event_type: str) -> str:
        """Return the topic to which events of a type are written. Types of activity, which have no dot, get one."""
        return self.topic_prefix + (event_type if "." in event_type else f"activity.{event_type}")

    def connection(self) -> dict[str, Any]:
        """Return what every Kafka client is given, in the words of kafka-python."""
        return {
            "bootstrap_servers": list(self.bootstrap_servers),
            "bootstrap_timeout_ms": 3_000,
            "reconnect_backoff_max_ms": 1_000,
            "metadata_max_age_ms": self.metadata_max_age_ms,
            **self.security.options(),
        }
