"""``dead-letters`` on the command line."""

import json
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaConsumer, KafkaProducer

from extensions.careflow.commands import dead_letters
from extensions.careflow.dead_letters import dead_letter_of, encode_letter
from extensions.careflow.records import BadRecordError, Partition, Record
from tests.support.care import at

if TYPE_CHECKING:
    from tests.support.services.kafka import Kafka


class Shell:
    """Runs the command against a broker, and writes what it finds there."""

    def __init__(self, broker: "Kafka") -> None:
        self.world = f"t{token_hex(6)}"
        self.topic = f"{self.world}.task.updated"
        self._servers = broker.bootstrap_servers

    def run(self, *arguments: str) -> Result:
        values = {
            "bootstrap_servers": f'["{self._servers}"]',
            "dead_letter_topic": f"{self.world}.dead_letter",
        }
        flags = [word for key, value in values.items() for word in ("--set", f"extensions.careflow.{key}={value}")]
        return CliRunner().invoke(dead_letters, [*arguments, *flags])

    def bury(self, value: bytes) -> str:
        """Write a record and its dead letter, and return the letter's id."""
        producer = KafkaProducer(bootstrap_servers=self._servers)
        try:
            sent = producer.send(self.topic, key=b"task_1", value=value, headers=[("from", b"billing")]).get(timeout=20)
            record = Record(Partition(*sent.topic_partition), sent.offset, b"task_1", value, (("from", b"billing"),))
            letter = dead_letter_of(record, BadRecordError("task.title", "maxLength"), at(0))
            told = producer.send(f"{self.world}.dead_letter", key=letter.id.encode(), value=encode_letter(letter))
            told.get(timeout=20)
        finally:
            producer.close()
        return letter.id

    def records(self, count: int) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
        """The first records of the topic."""
        consumer = KafkaConsumer(self.topic, bootstrap_servers=self._servers, auto_offset_reset="earliest")
        try:
            found = [next(consumer) for _ in range(count)]
        finally:
            consumer.close()
        return [(record.key, record.value, list(record.headers)) for record in found]


@pytest.fixture
def shell(kafka_broker: "Kafka") -> Shell:
    return Shell(kafka_broker)


class TestDeadLetters:
    def test_list_prints_a_line_for_each_without_its_content(self, shell: Shell) -> None:
        letter_id = shell.bury(b"John Doe")
        result = shell.run("list")
        assert result.exit_code == 0, result.output
        line = json.loads(result.output)
        assert line["id"] == letter_id
        assert line["reason"] == "task.title: maxLength"
        assert line["headers"] == {"from": "billing"}
        assert "John" not in result.output

    def test_show_prints_one(self, shell: Shell) -> None:
        letter_id = shell.bury(b"John Doe")
        shell.bury(b"other")
        result = shell.run("show", letter_id)
        assert json.loads(result.output)["id"] == letter_id

    def test_redrive_sends_the_record_again_as_it_was_and_forgets_the_letter(self, shell: Shell) -> None:
        letter_id = shell.bury(b"content")
        result = shell.run("redrive", letter_id)
        assert result.exit_code == 0, result.output
        assert shell.records(2) == [(b"task_1", b"content", [("from", b"billing")])] * 2
        assert shell.run("list").output == ""

    def test_redrive_all_takes_what_there_is(self, shell: Shell) -> None:
        for value in (b"one", b"two"):
            shell.bury(value)
        assert shell.run("redrive", "--all").exit_code == 0
        assert shell.run("list").output == ""

    @pytest.mark.parametrize("command", ["show", "redrive"])
    def test_an_unknown_letter_is_an_error(self, shell: Shell, command: str) -> None:
        shell.bury(b"content")
        result = shell.run(command, "nowhere:0:0")
        assert result.exit_code == 1
        assert "no such dead letter: nowhere:0:0" in result.output

    def test_redrive_wants_to_be_told_what(self, shell: Shell) -> None:
        assert shell.run("redrive").exit_code == 2
        assert shell.run("redrive", "a:0:0", "--all").exit_code == 2

    def test_without_kafka_there_is_nothing_to_ask(self) -> None:
        result = CliRunner().invoke(dead_letters, ["list"])
        assert result.exit_code == 1
        assert "bootstrap_servers is empty" in result.output
