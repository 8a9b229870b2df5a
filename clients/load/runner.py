"""Runs a plan from the first connection to the report."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from clients.load.conductor import Conductor, Watcher
from clients.load.errors import HarnessError
from clients.load.fleet import Tally
from clients.load.limit import Bounds, search
from clients.load.plan import Plan, Scenario
from clients.load.report import Report, Step
from clients.load.summary import of_deliveries, of_idle, of_sessions

# What to do about it, by what the reason contains.
REMEDIES = {
    "ECONNREFUSED": "; start the server, or correct the URL",
    "HTTP 404": "; correct the path of the URL (Faye is often at /faye or /bayeux, CometD at /cometd)",
    "HTTP 401": "; give what the server wants in --header or --handshake-ext",
    "handshake: 40": "; give what the server wants in --header or --handshake-ext",
    "TLS": "; SSL_CERT_FILE may name a file with the authority that signed the server's certificate",
    "subscribe was refused": "; choose channels that are allowed with --prefix",
}


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
        _require_sessions(plan.url, [report.tally for report in opening.opened])
        if plan.scenario is Scenario.HANDSHAKE_STORM:
            return of_sessions(conductor, opening)
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
    limit_per_s = best.asked_per_s if best else 0.0
    report = msgspec.structs.replace(chosen, steps=steps, limit_per_s=limit_per_s)
    if not report.is_harness_limit:
        return report
    note = "the search ended where the harness could not keep up: the server may hold more"
    return msgspec.structs.replace(report, notes=[*report.notes, note])


def _require_sessions(url: str, tallies: Sequence[Tally]) -> None:
    if not any(tally.ready for tally in tallies):
        reasons = sum((tally.failed for tally in tallies), Counter[str]())
        why = ", ".join(reasons) or "no reason known"
        remedy = next((advice for sign, advice in REMEDIES.items() if sign in why), "")
        raise HarnessError(f"no session could be opened at {url}: {why}{remedy}")
