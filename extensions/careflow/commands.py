"""``dead-letters list | show | redrive``: for a command line to take in."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import click
import msgspec
from prometheus_client import CollectorRegistry

from bayeux_server.cli import CONFIG, SET, read_settings
from bayeux_server.errors import LocalError
from bayeux_server.settings import convert
from extensions.careflow.config import SECTION, CareflowConfig
from extensions.careflow.dead_letters import DeadLetter
from extensions.careflow.kafka_dead_letters import KafkaDeadLetters
from extensions.careflow.metrics import Meters
from extensions.careflow.ports import DeadLetters
from extensions.careflow.producer import ProducerThread

#: Milliseconds that one record may take to be sent again; a person is waiting.
_SEND_TIMEOUT_MS: Final = 15_000


@click.group("dead-letters")
def dead_letters() -> None:
    """Records from Kafka that could not be used."""


@dead_letters.command("list")
@CONFIG
@SET
def list_letters(config: Path | None, overrides: tuple[str, ...]) -> None:
    """Print one line of JSON for each, the oldest first."""
    for letter in _letters(_careflow(config, overrides)).values():
        click.echo(_line(letter))


@dead_letters.command("show")
@click.argument("letter_id", metavar="TOPIC:PARTITION:OFFSET")
@CONFIG
@SET
def show_letter(letter_id: str, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Print one, indented. The record's content is not printed: it may be PHI."""
    click.echo(msgspec.json.format(_line(_chosen(_careflow(config, overrides), letter_id)), indent=2))


@dead_letters.command("redrive")
@click.argument("letter_ids", metavar="[TOPIC:PARTITION:OFFSET]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All there are.")
@CONFIG
@SET
def redrive_letters(letter_ids: tuple[str, ...], every: bool, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Send the original records once more, to where they were."""
    if every == bool(letter_ids):
        raise click.UsageError("Name dead letters, or say --all.")
    careflow = _careflow(config, overrides)
    chosen = list(_letters(careflow)) if every else letter_ids

    async def redrive(letters: DeadLetters) -> None:
        for letter_id in chosen:
            await letters.redrive(letter_id)
            click.echo(f"sent again: {letter_id}")

    try:
        asyncio.run(_with_letters(careflow, redrive))
    except KeyError as error:
        raise click.ClickException(f"no such dead letter: {error.args[0]}") from None
    except LookupError as error:
        raise click.ClickException(f"the record is no longer kept: {error.args[0]}") from None
    except OSError as error:
        raise click.ClickException(f"Kafka cannot be reached: {error}") from None


def _careflow(path: Path | None, overrides: tuple[str, ...]) -> CareflowConfig:
    section = read_settings(path, overrides).extensions.get("careflow", {})
    try:
        config = convert({key: value for key, value in section.items() if key != "enabled"}, CareflowConfig, SECTION)
        config.checked()
    except LocalError as error:
        raise click.ClickException(str(error)) from None
    if not config.bootstrap_servers:
        raise click.ClickException(f"{SECTION}.bootstrap_servers is empty: there is no Kafka to ask")
    return config


async def _with_letters(config: CareflowConfig, work: Callable[[DeadLetters], Awaitable[None]]) -> None:
    producer = ProducerThread(
        config.connection(),
        Meters(CollectorRegistry()),
        linger_ms=0,
        send_timeout_ms=_SEND_TIMEOUT_MS,
        max_waiting=config.max_waiting_sends,
    )
    producer.start()
    try:
        await work(KafkaDeadLetters(config).over(producer.send))
    finally:
        await producer.stop()


def _letters(config: CareflowConfig) -> dict[str, DeadLetter]:
    try:
        return KafkaDeadLetters(config).letters()
    except OSError as error:
        raise click.ClickException(f"Kafka cannot be reached: {error}") from None


def _chosen(config: CareflowConfig, letter_id: str) -> DeadLetter:
    try:
        return _letters(config)[letter_id]
    except KeyError:
        raise click.ClickException(f"no such dead letter: {letter_id}") from None


def _line(letter: DeadLetter) -> str:
    return msgspec.json.encode({"id": letter.id, **msgspec.to_builtins(letter)}).decode()
