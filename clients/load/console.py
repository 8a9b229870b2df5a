"""What ``bayeux load`` prints when a run is over."""

import shlex
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from clients.load import page
from clients.load import report as reports
from clients.load.plan import HIDDEN
from clients.load.report import Report, Step
from clients.load.tables import groups

# A run whose figures are the harness's own, not the server's; and one in which a delivery went wrong.
EXIT_INVALID = 3
EXIT_LOSS = 4

_SECRET = {"headers", "handshake_ext"}


def command_line(context: click.Context) -> str:
    """Return the command that ``context`` runs, as a person would type it; values that may be secret are left out."""
    parts = ["bayeux", "load", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        for one in value if isinstance(value, tuple) else (value,):
            shown = HIDDEN if name in _SECRET else f"{one:g}" if isinstance(one, float) else str(one)
            flag = [parameter.opts[0]] if isinstance(parameter, click.Option) else []
            parts += flag if one is True else [*flag, shown]
    return shlex.join(parts)


def show_step(console: Console, step: Step) -> None:
    """Print one rate that a search has tried."""
    verdict = "held" if step.held else f"not held: {step.why}"
    console.print(
        f"{step.rate:>10,.0f}/s   p50 {step.p50_ms:7.1f} ms   p99 {step.p99_ms:7.1f} ms   {verdict}", highlight=False
    )


def show(console: Console, report: Report, json_path: Path | None, html_path: Path | None) -> None:
    """Print ``report`` and write it where asked; ends the program with the status that it deserves."""
    console.print(_table(report))
    for note in report.notes:
        console.print(f"Note: {note}.", style="yellow", markup=False, highlight=False)
    if json_path:
        reports.write(report, json_path)
    if html_path:
        page.write(report, html_path)
    for reason in report.reasons:
        console.print(f"This run is not valid: {reason}.", style="bold red", markup=False, highlight=False)
    if not report.valid:
        sys.exit(EXIT_INVALID)
    if report.is_flawed:
        sys.exit(EXIT_LOSS)


def _table(report: Report) -> Table:
    table = Table(title=report.title, show_header=False, title_justify="left", title_style="bold")
    for group, facts in groups(report):
        for number, fact in enumerate(facts):
            table.add_row("" if number else group, *fact)
        table.add_section()
    return table
