"""The figures of a report in words, for the terminal and the page."""

from collections.abc import Iterator

from clients.load.plan import Scenario
from clients.load.report import Report

Fact = tuple[str, str]
PERCENTILES = {"p50": "p50", "p95": "p95", "p99": "p99", "p99_9": "p99.9", "max": "max"}


def groups(report: Report) -> list[tuple[str, list[Fact]]]:
    """Return what a reader wants to know of ``report``, most important first: a title, and the facts below it."""
    found = [
        ("Deliveries", list(_deliveries(report)) if report.work == "deliveries" else []),
        (latency_title(report), list(_latency(report))),
        ("Sessions", list(_sessions(report))),
        ("Server", list(_server(report))),
        ("Harness", list(_harness(report))),
    ]
    return [(title, facts) for title, facts in found if facts]


def latency_title(report: Report) -> str:
    """Return what the latencies of ``report`` are."""
    if report.plan.scenario is Scenario.RECONNECT_STORM:
        return "Time until a session is back"
    return "Latency" if report.work == "deliveries" else "Time until a session is ready"


def rate(report: Report) -> str:
    """Return how much was done each second, and how much should have been."""
    asked = f" of {report.asked_per_s:,.0f} asked" if report.asked_per_s else ""
    return f"{report.per_s:,.0f} {report.work}/s{asked}"


def _deliveries(report: Report) -> Iterator[Fact]:
    count = report.count
    if report.limit_per_s is not None:
        yield "highest rate held", f"{report.limit_per_s:,.0f} deliveries/s"
    yield "rate", rate(report)
    if report.acts:
        yield "acts", ", ".join(f"{name} {times:,}" for name, times in sorted(report.acts.items()))
    yield "publishes", f"{report.sent:,} sent, {report.accepted:,} accepted"
    yield "expected", f"{count.expected:,}"
    yield "received", f"{count.received:,}"
    yield "lost", f"{count.lost:,}"
    yield "duplicated", f"{count.duplicated:,}"
    yield "out of order", f"{count.out_of_order:,}"
    if count.misdelivered or report.malformed or report.foreign:
        yield "misdelivered", f"{count.misdelivered:,}"
        yield "altered", f"{report.malformed:,}"
        yield "of other publishers", f"{report.foreign:,}"
    slow = report.slow_count
    if slow.expected:
        dropped = report.sessions.slow_dropped
        yield "slow readers", f"received {slow.received:,} of {slow.expected:,}; {dropped} of them were dropped"


def _latency(report: Report) -> Iterator[Fact]:
    figures = report.latency_ms
    if figures["max"]:
        for key, name in PERCENTILES.items():
            yield name, f"{figures[key]:,.1f} ms"


def _sessions(report: Report) -> Iterator[Fact]:
    sessions = report.sessions
    if sessions.seconds:
        yield "sessions", f"{sessions.ready:,} in {sessions.seconds:.1f} s: {rate(report)}"
    else:
        yield "sessions", f"{sessions.ready:,} ready"
    if sessions.resumed or sessions.renewed:
        yield "came back", f"{sessions.resumed:,} with their session, {sessions.renewed:,} with a new handshake"
    if sessions.cut_polls:
        yield "cut polls", f"{sessions.cut_polls:,} held connects ended without an answer"
    for name in ("failed", "dropped", "refused"):
        reasons: dict[str, int] = getattr(sessions, name)
        for reason, times in sorted(reasons.items(), key=lambda item: -item[1]):
            yield name, f"{times:,} x {reason}"


def _server(report: Report) -> Iterator[Fact]:
    server = report.server
    if server is None:
        return
    yield "CPU", f"{server.cores:.2f} cores"
    if server.work_per_cpu_s and report.plan.scenario is not Scenario.IDLE:
        yield "efficiency", f"{server.work_per_cpu_s:,.0f} {report.work} per CPU second"
        yield "cost", f"{server.cpu_us_per_work:,.1f} us of CPU each"
    yield "memory", f"{server.rss_mib:,.0f} MiB at most, {server.rss_before_mib:,.0f} MiB before"
    if report.plan.scenario is Scenario.IDLE and report.sessions.ready:
        yield "memory per session", f"{server.kib_per_session(report.sessions.ready):.1f} KiB"


def _harness(report: Report) -> Iterator[Fact]:
    harness = report.harness
    if report.work == "deliveries":
        yield "cost", f"{harness.cpu_us_per_work:,.1f} us of CPU per delivery"
        yield "lag", f"publishes left {harness.lag_p99_ms:.1f} ms late (p99)"
    if harness.busiest_share:
        yield "busy", f"{harness.busiest_share:.0%} of the time in its busiest process"
    if harness.other_cores is not None:
        yield "other processes", f"{harness.other_cores:.2f} cores"
