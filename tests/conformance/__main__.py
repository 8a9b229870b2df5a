"""``python -m tests.conformance URL``: run the scenarios against any server and print a table."""

import asyncio
import sys
import traceback
from pathlib import Path
from urllib.parse import urlsplit

import click

from tests.conformance.scenarios import SCENARIOS
from tests.conformance.world import ALL, ONCE, Scenario, Target

TIMEOUT_S = 20.0
RESTART_S = 10
_SHORT = dict(zip(ALL, ("ws", "es", "lp", "xo", "cb"), strict=True))
_WIDTH = 88


async def await_server(target: Target) -> None:
    """Return once the server accepts connections: one that fell over the last scenario may be started again.

    Raises:
        click.ClickException: If it does not.
    """
    parts = urlsplit(target.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for _ in range(RESTART_S):
        try:
            _, writer = await asyncio.open_connection(parts.hostname, port)
        except OSError:
            await asyncio.sleep(1)
        else:
            writer.close()
            return
    raise click.ClickException(f"nobody answers at {target.url}: start the server, and again whenever it falls over")


async def run_one(scenario: Scenario, transport: str, target: Target) -> str | None:
    """Run a scenario and return what was wrong, None if nothing was."""
    await await_server(target)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await scenario.run(target, transport)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if Path(frame.filename).parent.name == "conformance"]
        line = ours[-1].line if ours else ""
        return f"{type(error).__name__}: {str(error)[:300]}\n      {line}"
    return None


async def run_row(scenario: Scenario, target: Target, transports: tuple[str, ...], failures: list[str]) -> str:
    """Run a scenario over each transport, add what failed to ``failures`` and return the cells of its row."""
    cells: dict[str, str] = {}
    for transport in scenario.transports:
        if transport != ONCE[0] and transport not in transports:
            continue
        if scenario.needs_allowed_origin and target.allowed_origin is None:
            cells[transport] = "?"
            continue
        wrong = await run_one(scenario, transport, target)
        cells[transport] = "ok" if wrong is None else "NO"
        if wrong is not None:
            failures.append(f"{scenario.area}: {scenario.name} [{transport}]\n      {wrong}")
    if scenario.transports == ONCE:
        return cells[ONCE[0]]
    return " ".join(f"{cells.get(transport, '.'):<2}" for transport in ALL)


async def run_all(target: Target, areas: tuple[str, ...], transports: tuple[str, ...], words: str) -> int:
    """Run the scenarios that were asked for, print the table and return how many failed."""
    failures: list[str] = []
    area = ""
    for scenario in SCENARIOS:
        if (areas and scenario.area not in areas) or words not in scenario.name:
            continue
        if scenario.area != area:
            area = scenario.area
            click.secho(f"\n{area:<{_WIDTH}} " + " ".join(_SHORT.values()), bold=True)
        row = await run_row(scenario, target, transports, failures)
        click.echo(f"  {scenario.name:<{_WIDTH - 2}} {row}")
    if failures:
        click.secho(f"\n{len(failures)} not as they should be:", fg="red", bold=True)
    else:
        click.secho("\nAll as it should be.", fg="green", bold=True)
    for number, failure in enumerate(failures, 1):
        click.echo(f"{number:4}. {failure}")
    return len(failures)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("url")
@click.option("--allowed-origin", help="An origin on the server's allow-list; without it those scenarios are left out.")
@click.option("--area", "areas", multiple=True, help="Only this file's scenarios, such as handshake. Repeatable.")
@click.option("--transport", "transports", multiple=True, type=click.Choice(ALL), help="Only over this. Repeatable.")
@click.option("-k", "words", default="", help="Only scenarios whose name has these words.")
def main(url: str, allowed_origin: str | None, areas: tuple[str, ...], transports: tuple[str, ...], words: str) -> None:
    """Run the conformance scenarios against the Bayeux server at URL, such as http://127.0.0.1:8000/bayeux."""
    target = Target(url.rstrip("/"), allowed_origin)
    sys.exit(1 if asyncio.run(run_all(target, areas, transports or ALL, words)) else 0)


if __name__ == "__main__":
    main()
