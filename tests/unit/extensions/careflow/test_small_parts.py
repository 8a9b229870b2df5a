"""Configuration, back-off, dead letters, metrics, and what joins the parts to the server."""

import json

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from bayeux_server.errors import RemoteError
from bayeux_server.settings import SettingsError, convert
from channels.presence.events import PresenceEvent, UserLeft
from extensions.careflow.announcer import Announcer
from extensions.careflow.backoff import Backoff
from extensions.careflow.config import CareflowConfig, Security
from extensions.careflow.dead_letters import dead_letter_of, decode_letter, encode_letter
from extensions.careflow.metrics import Meters, ProgressCollector
from extensions.careflow.ports import Progress
from extensions.careflow.publisher import ServerPublisher
from extensions.careflow.records import BadRecordError, BusUnavailableError, Partition, Record
from tests.support.care import at

PARTITION = Partition("careflow.task.updated", 2)


class TestConfig:
    def test_the_defaults_are_sound(self) -> None:
        assert CareflowConfig().checked().bootstrap_servers == ()

    @pytest.mark.parametrize(
        ("values", "key"),
        [
            ({"low_water_records": 1_000}, "low_water_records = 1000"),
            ({"topics_pattern": "("}, "topics_pattern = '\\('"),
            ({"dead_letter_topic": "careflow.task.dead"}, "dead_letter_topic = 'careflow.task.dead'"),
        ],
    )
    def test_values_that_contradict_each_other_are_refused_by_name(self, values: dict[str, object], key: str) -> None:
        with pytest.raises(SettingsError, match=key):
            convert(values, CareflowConfig).checked()

    def test_an_unknown_key_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="bootstrap"):
            convert({"bootstrap": "x"}, CareflowConfig, "extensions.careflow")

    def test_events_go_to_topics_of_their_type(self) -> None:
        config = CareflowConfig()
        assert config.topic_of("task.updated") == "careflow.task.updated"
        assert config.topic_of("note_added") == "careflow.activity.note_added"

    def test_security_reaches_the_clients_in_their_own_words(self) -> None:
        security = Security(protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u", sasl_password="p")
        options = CareflowConfig(bootstrap_servers=("a:1",), security=security).connection()
        assert options["security_protocol"] == "SASL_SSL"
        assert options["sasl_plain_username"] == "u"
        assert "ssl_cafile" not in options


class TestBackoff:
    def test_waits_double_up_to_the_longest(self) -> None:
        backoff = Backoff(1.0, 5.0, lambda: 1.0)
        assert [backoff.delay_s(failures) for failures in (1, 2, 3, 4, 10_000)] == [1.0, 2.0, 4.0, 5.0, 5.0]

    def test_jitter_takes_up_to_half(self) -> None:
        assert Backoff(1.0, 5.0, lambda: 0.0).delay_s(1) == 0.5


class TestDeadLetter:
    RECORD = Record(PARTITION, 7, b"k", b"John Doe", (("trace", b"abc"), ("odd", b"\xff" * 1_000)))

    def test_it_says_where_the_record_is_and_what_is_wrong(self) -> None:
        letter = dead_letter_of(self.RECORD, BadRecordError("task.title", "maxLength"), at(0))
        assert letter.id == "careflow.task.updated:2:7"
        assert letter.reason == "task.title: maxLength"
        assert letter.headers["trace"] == "abc"
        assert letter.size_bytes == 9

    def test_it_is_the_same_after_a_round_trip(self) -> None:
        letter = dead_letter_of(self.RECORD, BadRecordError("", "json"), at(0))
        assert decode_letter(encode_letter(letter)) == letter
        assert json.loads(encode_letter(letter))["timestamp"] == at(0)

    def test_nothing_of_the_content_is_in_it(self) -> None:
        letter = dead_letter_of(self.RECORD, ValueError("John Doe"), at(0))
        assert b"John" not in encode_letter(letter)
        assert len(letter.headers["odd"]) == 256


class TestMetrics:
    def test_lag_and_age_are_read_when_they_are_asked_for(self) -> None:
        progress = [Progress(PARTITION, 5, 90_000)]
        registry = CollectorRegistry()
        registry.register(ProgressCollector(lambda: progress, lambda: 100.0))
        text = generate_latest(registry).decode()
        assert 'careapp_kafka_lag_records{partition="2",topic="careflow.task.updated"} 5.0' in text
        assert 'careapp_kafka_oldest_age_seconds{partition="2",topic="careflow.task.updated"} 10.0' in text
        progress.clear()
        assert "careflow.task.updated" not in generate_latest(registry).decode()

    def test_every_count_has_its_metric(self) -> None:
        registry = CollectorRegistry()
        meters = Meters(registry)
        meters.consumed("task.updated")
        meters.dropped("seen")
        meters.retried()
        meters.dead(BadRecordError("", "json"))
        meters.produced()
        meters.send_failed()
        text = generate_latest(registry).decode()
        assert 'careapp_kafka_dead_letters_total{error="BadRecordError"} 1.0' in text
        assert 'careapp_kafka_dropped_total{reason="seen"} 1.0' in text
        for name in ("retries", "produced", "send_failures"):
            assert f"careapp_kafka_{name}_total 1.0" in text


class Refusing:
    """A server that refuses with a code."""

    def __init__(self, code: int) -> None:
        self._code = code

    async def publish(self, channel: str, data: bytes, *, kept: bool) -> None:
        raise RemoteError(self._code, [channel], "refused")


class TestServerPublisher:
    async def test_a_broker_out_of_reach_passes(self) -> None:
        with pytest.raises(ConnectionError):
            await ServerPublisher(Refusing(503)).publish("/task/1", b"{}")  # type: ignore[arg-type]  # only publishes

    async def test_a_refused_channel_does_not(self) -> None:
        with pytest.raises(RemoteError, match="405"):
            await ServerPublisher(Refusing(405)).publish("/task/1", b"{}")  # type: ignore[arg-type]  # only publishes


class Announced:
    """The part of a bus that announcements use."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bool]] = []
        self.away = False

    async def send(self, topic: str, key: str, value: bytes, *, shown: bool = False) -> None:
        if self.away:
            raise BusUnavailableError
        assert json.loads(value)["task_id"] == key
        self.sent.append((topic, key, shown))


def left(task_id: str) -> PresenceEvent:
    return UserLeft(event_id=f"left_{task_id}", task_id=task_id, version=1, user_id="cc_456", timestamp=at(0))


class TestAnnouncer:
    async def test_who_comes_and_goes_is_told_as_shown(self) -> None:
        bus = Announced()
        announcer = Announcer(CareflowConfig(), bus)  # type: ignore[arg-type]  # only sends
        for task_id in ("task_1", "task_2"):
            announcer.tell(left(task_id))
        await announcer.stop()
        assert bus.sent == [("careflow.presence.user_left", each, True) for each in ("task_1", "task_2")]

    async def test_without_a_bus_presence_is_not_told_and_nobody_is_hurt(self) -> None:
        bus = Announced()
        bus.away = True
        announcer = Announcer(CareflowConfig(), bus)  # type: ignore[arg-type]  # only sends
        announcer.tell(left("task_1"))
        await announcer.stop()
        assert bus.sent == []
