"""What a person sees while a run goes on: a bar and the figures of the last second."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from clients.load.machine import Snapshot, Use
from clients.load.orders import Progress as WorkerProgress
from clients.load.plan import Plan

MIB = 1024 * 1024


class LiveDisplay:
    """A progress bar on standard error; nothing where that is no terminal."""

    def __init__(self, plan: Plan) -> None:
        console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<17}"),
            BarColumn(bar_width=24),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._plan = plan
        self._task: TaskID | None = None
        self._phase = ""
        self._began_s = 0.0
        self._last: Snapshot | None = None

    def __enter__(self) -> Self:
        """Show it."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take it away."""
        self._progress.stop()

    def __call__(self, phase: str, progress: Sequence[WorkerProgress], snapshot: Snapshot) -> None:
        """Show ``phase`` and the figures of the last second."""
        if phase != self._phase:
            self._begin(phase)
        if self._task is None:
            return
        ready = sum(report.ready for report in progress)
        done: float = ready if phase == "opening sessions" else time.monotonic() - self._began_s
        self._progress.update(self._task, completed=done, figures=self._figures(ready, progress, snapshot))

    def _begin(self, phase: str) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        totals: dict[str, float] = {
            "opening sessions": self._plan.clients,
            "warming up": self._plan.warm_up_s,
            "measuring": self._plan.duration_s,
            "idle": self._plan.duration_s,
        }
        self._phase, self._began_s = phase, time.monotonic()
        self._task = self._progress.add_task(phase, total=totals.get(phase), figures="")

    def _figures(self, ready: int, progress: Sequence[WorkerProgress], snapshot: Snapshot) -> str:
        parts = [f"{ready:,} sessions"]
        failed = sum(report.failed for report in progress)
        if failed:
            parts.append(f"{failed:,} failed")
        received = sum(report.received for report in progress)
        if received:
            p50_ms, p99_ms = (max(report.p50_ms for report in progress), max(report.p99_ms for report in progress))
            parts.append(f"{received:,}/s  p50 {p50_ms:.1f}  p99 {p99_ms:.1f} ms")
        if self._last is not None and snapshot.server_rss_bytes:
            use = Use.between(self._last, snapshot)
            parts.append(f"server {use.server_cpu_s / use.wall_s:.2f} cores {use.server_rss_bytes / MIB:,.0f} MiB")
        self._last = snapshot
        return "  ".join(parts)
