"""``python -m tests.support.services install [NAME...]``: make the real services available on this machine."""

import sys
import time
from collections.abc import Callable

import click
from rich.console import Console

from tests.support.services import chromium, compiled, kafka, nginx, node, postgres, redis, spicedb
from tests.support.services.cache import cache_root
from tests.support.services.packages import InstallError

# In the order of what a first run waits for least; the text says what a person is waiting for.
SERVICES: dict[str, tuple[Callable[[], object], str]] = {
    "redis": (redis.install, "operating system package"),
    "postgres": (postgres.install, "operating system package"),
    "nginx": (nginx.install, "operating system package"),
    "chromium": (chromium.install, "operating system package, some 100 MB"),
    "node": (node.install, "npm packages of tests/ and clients/web/"),
    "compiled": (compiled.install, "the server's inner modules: a minute, once for each version"),
    "kafka": (kafka.install, "50 MB of jars"),
    "spicedb": (spicedb.install, "built from source: some four minutes, this once"),
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The real services that the tests use."""


@main.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(SERVICES)), metavar="[NAME]...")
def install(names: tuple[str, ...]) -> None:
    """Install the services called NAME, all by default, saying what is going on."""
    console = Console(highlight=False)
    wanted = [name for name in SERVICES if not names or name in names]
    console.print(f"Services for the tests (cache: {cache_root()})", soft_wrap=True)
    for number, name in enumerate(wanted, start=1):
        make, what = SERVICES[name]
        head = f"  {number}/{len(wanted)} {name:<9}"
        # A terminal shows a spinner; a log of a CI run shows the line before the wait begins.
        if not console.is_terminal:
            console.print(f"{head} {what}", soft_wrap=True)
        started = time.monotonic()
        try:
            with console.status(f"{head} {what}"):
                found = make()
        except InstallError as error:
            console.print(f"{head} failed: {error}", soft_wrap=True, markup=False)
            sys.exit(1)
        console.print(f"{head} ready after {time.monotonic() - started:.1f} s: {found}", soft_wrap=True)


if __name__ == "__main__":
    main()
