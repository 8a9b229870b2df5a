"""``bayeux-server audit``: verify a log."""

import os
from pathlib import Path

import click

from extensions.audit.segments import segment_paths, verify


@click.group()
def audit() -> None:
    """Look after the audit log."""


@audit.command("verify")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--key-env", metavar="NAME", help="Environment variable with the key, if the log was made with one.")
@click.option("--expect-head", metavar="HASH", help="Fail unless the chain contains this hash, noted earlier.")
def verify_command(folder: Path, key_env: str | None, expect_head: str | None) -> None:
    """Follow the chain of FOLDER from its first record to its last.

    Prints how many records follow from each other, and the hash of the last: note it somewhere else, and a later
    verification with --expect-head shows that nothing up to it was cut off. Ends with 1 if the chain is broken.
    """
    key = os.environ.get(key_env, "").encode() if key_env else None
    if key_env and not key:
        raise click.UsageError(f"{key_env} is empty")
    if not segment_paths(folder):
        raise click.UsageError(f"no audit log in {folder}")
    found = verify(folder, key, expect_head)
    click.echo(f"records {found.records}")
    click.echo(f"head    {found.head}")
    if found.broken is not None:
        raise click.ClickException(f"broken: {found.broken}")
    if not found.has_expected:
        raise click.ClickException("broken: the expected record is not in the chain; its end was cut off or replaced")
    click.echo("ok")
