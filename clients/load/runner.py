"""Runs a plan from the first connection to the report."""

from collections.abc import Callable
from dataclasses import replace

import msgspec

from clients.load.conductor import Conductor, HarnessError, Watcher
from clients.load.limit import Bounds, search
from clients.load.plan import Plan, Scenario
from clients.load.report import Report, Step
from clients.load.summary import of_deliveries, of_idle, of_sessions


def run(plan: Plan, watcher: Watcher, pid: int | None = None) -> Report:
    """Run ``plan`` against its URL and return the report.

    Args:
        plan: What to do.
        watcher: Told about twice a second how it goes.
        pid: The server's process, where it runs on this machine: its CPU and memory are measured.

    Raises:
        HarnessError: If the run cannot be done at all.
    """
    with Conductor(plan, pid, watcher) as conductor:
        opening = conductor.open()
        if plan.scenario is Scenario.HANDSHAKE_STORM:
            return of_sessions(conductor, opening)
        _require_sessions(
            conductor, sum(report.tally.ready for report in opening.opened), opening.opened[0].tally.failed
        )
        if plan.scenario is Scenario.RECONNECT_STORM:
            return of_sessions(conductor, conductor.reconnect())
        if plan.scenario is Scenario.IDLE:
            return of_idle(conductor, opening, conductor.idle())
        return of_deliveries(conductor, conductor.publish(plan.rate), plan.rate)


def find_limit(
    plan: Plan, watcher: Watcher, bounds: Bounds, on_step: Callable[[Step], None], pid: int | None = None
) -> Report:
    """Raise the rate of ``plan`` until a bound breaks; return the report of the highest rate held, with all steps.

    Each rate is run with new sessions: what an overloaded server still has queued for the old ones is not carried over.

    Raises:
        HarnessError: If a run cannot be done at all.
    """
    steps: list[Step] = []
    best: Report | None = None
    last: Report | None = None
    for report, step in search(plan.rate, lambda rate: run(replace(plan, rate=rate), watcher, pid), bounds):
        steps.append(step)
        on_step(step)
        last = report
        if step.held and (best is None or report.asked_per_s > best.asked_per_s):
            best = report
    chosen = best or last
    if chosen is None:
        raise HarnessError("no rate was tried")
    return msgspec.structs.replace(chosen, steps=steps, limit_per_s=best.asked_per_s if best else 0.0)


def _require_sessions(conductor: Conductor, ready: int, failed: dict[str, int]) -> None:
    if ready == 0:
        reasons = ", ".join(failed) or "no reason known"
        raise HarnessError(f"no session could be opened at {conductor.plan.url}: {reasons}")
