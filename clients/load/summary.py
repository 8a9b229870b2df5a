"""Makes the report of a run from what the worker processes saw."""

import datetime as dt
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from clients.load.conductor import Conductor, Outcome
from clients.load.fleet import Tally
from clients.load.latency import histogram, percentiles_ms, quick_percentiles_ms
from clients.load.ledger import Count
from clients.load.machine import Snapshot, Use
from clients.load.plan import HIDDEN, Plan, Scenario
from clients.load.report import HarnessUse, Report, Second, ServerUse, Sessions
from clients.load.verdict import objections, remarks

MIB = 1024 * 1024


def of_deliveries(conductor: Conductor, outcome: Outcome, rate: float) -> Report:
    """Return the report of a run that published so that ``rate`` deliveries a second were due."""
    plan, results = conductor.plan, outcome.results
    rows = [row for result in results for row in result.rows]
    count, slow_count, tally = Count(), Count(), Tally()
    for result in results:
        count.add(result.count)
        slow_count.add(result.slow_count)
        tally.add(result.tally)
    delivered = sum(sum(row.values()) for row in rows)
    use = Use.between(outcome.snapshots[0], outcome.snapshots[-1])
    harness = _harness(
        cpu_s=sum(result.cpu_s for result in results),
        busiest=max(result.busy_share for result in results),
        work=delivered,
        lag_p99_ms=percentiles_ms(histogram(result.lag for result in results))["p99"],
        other_cores=use.other_cores if conductor.machine.pid is not None else None,
    )
    sent = sum(result.sent for result in results)
    missed = sum(result.late + result.unsent for result in results)
    wanted = len(conductor.topology.members)
    server = _server(conductor, outcome.snapshots, delivered)
    return _report(
        conductor,
        work="deliveries",
        # A care day is paced by what people do, not by what that causes.
        asked_per_s=0.0 if plan.scenario is Scenario.CARE_DAY else rate * (1 - plan.slow_share),
        acts=dict(sum((Counter(result.acts) for result in results), Counter())),
        per_s=delivered / use.wall_s,
        sent=sent,
        accepted=tally.accepted,
        count=count,
        slow_count=slow_count,
        malformed=sum(result.malformed for result in results),
        foreign=sum(result.foreign for result in results),
        rows=[*rows, *(result.drain for result in results)],
        seconds=list(_seconds([result.rows for result in results], outcome.snapshots)),
        sessions=_sessions(tally, slow_dropped=sum(result.slow_dropped for result in results)),
        server=server,
        harness=harness,
        reasons=list(objections(harness, sent=sent, planned=sent + missed, opened=tally.ready, wanted=wanted)),
    )


def of_sessions(conductor: Conductor, outcome: Outcome) -> Report:
    """Return the report of a storm: how long each session took to be ready (again)."""
    opened = outcome.opened
    rows = [report.row for report in opened]
    done = sum(sum(row.values()) for row in rows)
    seconds = max(report.wall_s for report in opened)
    use = Use.between(outcome.snapshots[0], outcome.snapshots[-1])
    harness = _harness(
        cpu_s=sum(report.cpu_s for report in opened),
        busiest=max(report.busy_share for report in opened),
        work=done,
        lag_p99_ms=0.0,
        other_cores=use.other_cores if conductor.machine.pid is not None else None,
    )
    tally = Tally()
    for report in opened:
        tally.add(report.tally)
    wanted = len(conductor.topology.members)
    return _report(
        conductor,
        work="sessions",
        asked_per_s=conductor.plan.rate,
        per_s=done / seconds,
        rows=rows,
        sessions=_sessions(tally, seconds=seconds),
        server=_server(conductor, outcome.snapshots, done),
        harness=harness,
        reasons=list(objections(harness, sent=0, planned=0, opened=done, wanted=wanted)),
    )


def of_idle(conductor: Conductor, opening: Outcome, outcome: Outcome) -> Report:
    """Return the report of idle sessions: what each costs the server in memory, and all of them in CPU."""
    tally = Tally()
    for report in opening.opened:
        tally.add(report.tally)
    use = Use.between(outcome.snapshots[0], outcome.snapshots[-1])
    wanted = len(conductor.topology.members)
    harness = _harness(cpu_s=use.harness_cpu_s, busiest=0.0, work=tally.ready, lag_p99_ms=0.0, other_cores=None)
    return _report(
        conductor,
        work="sessions",
        asked_per_s=0.0,
        per_s=0.0,
        rows=[report.row for report in opening.opened],
        sessions=_sessions(tally),
        server=_server(conductor, [opening.before, *outcome.snapshots], tally.ready),
        harness=harness,
        reasons=list(objections(harness, sent=0, planned=0, opened=tally.ready, wanted=wanted)),
    )


def _report(
    conductor: Conductor,
    *,
    work: str,
    asked_per_s: float,
    per_s: float,
    rows: Iterable[Mapping[int, int]],
    sessions: Sessions,
    server: ServerUse | None,
    harness: HarnessUse,
    reasons: list[str],
    sent: int = 0,
    accepted: int = 0,
    count: Count | None = None,
    slow_count: Count | None = None,
    malformed: int = 0,
    foreign: int = 0,
    seconds: list[Second] | None = None,
    acts: dict[str, int] | None = None,
) -> Report:
    latencies = histogram(rows)
    return Report(
        started=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        plan=_without_secrets(conductor.plan),
        work=work,
        asked_per_s=asked_per_s,
        per_s=per_s,
        sent=sent,
        accepted=accepted,
        count=count or Count(),
        slow_count=slow_count or Count(),
        malformed=malformed,
        foreign=foreign,
        latency_ms=percentiles_ms(latencies),
        histogram=latencies.encode().decode("ascii"),
        seconds=seconds or [],
        sessions=sessions,
        acts=acts or {},
        server=server,
        harness=harness,
        valid=not reasons,
        reasons=reasons,
        notes=list(remarks(harness, server.cpu_us_per_work if server else None)),
    )


def _without_secrets(plan: Plan) -> Plan:
    headers = tuple(f"{header.partition(':')[0]}: {HIDDEN}" for header in plan.headers)
    return replace(plan, headers=headers, handshake_ext=HIDDEN if plan.handshake_ext else "")


def _harness(*, cpu_s: float, busiest: float, work: int, lag_p99_ms: float, other_cores: float | None) -> HarnessUse:
    return HarnessUse(cpu_s, busiest, cpu_s / work * 1e6 if work else 0.0, lag_p99_ms, other_cores)


def _server(conductor: Conductor, snapshots: Sequence[Snapshot], work: int) -> ServerUse | None:
    if conductor.machine.pid is None:
        return None
    use = Use.between(snapshots[0], snapshots[-1])
    return ServerUse(
        cpu_s=use.server_cpu_s,
        cores=use.server_cpu_s / use.wall_s,
        rss_mib=max(snapshot.server_rss_bytes for snapshot in snapshots) / MIB,
        rss_before_mib=snapshots[0].server_rss_bytes / MIB,
        rss_after_mib=snapshots[-1].server_rss_bytes / MIB,
        work_per_cpu_s=work / use.server_cpu_s if use.server_cpu_s else 0.0,
        cpu_us_per_work=use.server_cpu_s / work * 1e6 if work else 0.0,
    )


def _sessions(tally: Tally, *, slow_dropped: int = 0, seconds: float = 0.0) -> Sessions:
    return Sessions(
        ready=tally.ready,
        failed=dict(tally.failed),
        dropped=dict(tally.dropped),
        refused=dict(tally.refused),
        resumed=tally.resumed,
        renewed=tally.renewed,
        cut_polls=tally.cut_polls,
        slow_dropped=slow_dropped,
        seconds=seconds,
    )


def _seconds(rows_by_process: Sequence[Sequence[Mapping[int, int]]], snapshots: Sequence[Snapshot]) -> Iterable[Second]:
    uses = [Use.between(before, after) for before, after in pairwise(snapshots)]
    for second, rows in enumerate(zip(*rows_by_process, strict=True)):
        merged: Counter[int] = Counter()
        for row in rows:
            merged.update(row)
        p50_ms, p99_ms, max_ms = quick_percentiles_ms(merged, (0.5, 0.99, 1.0))
        use = uses[second] if second < len(uses) else None
        yield Second(
            second=second,
            deliveries=merged.total(),
            p50_ms=p50_ms,
            p99_ms=p99_ms,
            max_ms=max_ms,
            server_cores=use.server_cpu_s / use.wall_s if use else 0.0,
            server_rss_mib=use.server_rss_bytes / MIB if use else 0.0,
        )
