"""What is kept of a comparison: figures, a table and a plot, with the machine, the date and the command."""

import dataclasses
import json
import os
import platform
import re
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import median
from benchmarks.table import By, Ceilings

FOLDER = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
# What the README shows; the rest of the results stays out of the repository.
README_PLOT = Path(__file__).parent / "versus.svg"
BEGIN, END = "<!-- figures of python -m benchmarks --readme -->", "<!-- end of figures -->"


def machine() -> str:
    """Return processor, cores and system of this machine in words."""
    information = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.+)", information.read_text()) if information.exists() else []
    processor = names[0] if names else platform.machine()
    return f"{os.cpu_count()} cores of {processor}, {platform.system()}, Python {platform.python_version()}"


def command() -> str:
    """Return the command that is running."""
    program = Path(sys.argv[0])
    module = "benchmarks" if program.stem == "__main__" else f"benchmarks.{program.stem}"
    return " ".join(["python -m", module, *sys.argv[1:]])


def write(measures: By, ceilings: Ceilings, name: str) -> Path:
    """Write the medians as JSON into the results, and return the file."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "command": command(),
        "c_loop": ceilings,
        "rows": {
            key: {server: dataclasses.asdict(median(runs)) for server, runs in by.items() if runs}
            for key, by in measures.items()
        },
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def write_readme(table: str, drawing: Path, taken_s: float, readme: Path = README, plot: Path = README_PLOT) -> None:
    """Put ``table`` (Markdown) and the plot in ``drawing`` between the README's marks, in place of what is there.

    Raises:
        ValueError: If the README has no such marks.
    """
    before, begins, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, ends, after = rest.partition(END)
    if not begins or not ends:
        raise ValueError(f"{readme} has no place for figures: {BEGIN} and {END}")
    shutil.copy(drawing, plot)
    origin = f"{machine()}, {datetime.now(UTC):%Y-%m-%d}, `{command()}`, {taken_s / 60:.0f} minutes."
    link = f"![Deliveries per server CPU second]({plot.relative_to(readme.parent)})"
    figures = f"\n\n{origin}\n\n{table}\n\n{link}\n\n"
    readme.write_text(before + BEGIN + figures + END + after, encoding="utf-8")
