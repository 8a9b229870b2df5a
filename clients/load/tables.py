"""The figures of a report in words, for the terminal and the page."""

from collections.abc import Iterator

from clients.load.report import Report

Fact = tuple[str, str]


def facts(report: Report) -> list[Fact]:
    """Return what a reader wants to know of ``report``, most important first."""
    found = list(_latency(report))
    if report.work == "deliveries":
        found = [*_deliveries(report), *found]
    return [*found, *_sessions(report), *_server(report), *_harness(report)]


def _deliveries(report: Report) -> Iterator[Fact]:
    count = report.count
    if report.limit_per_s is not None:
        yield "highest rate held", f"{report.limit_per_s:,.0f} deliveries/s"
    asked = f" of {report.asked_per_s:,.0f} asked" if report.asked_per_s else ""
    yield "rate", f"{report.per_s:,.0f} deliveries/s{asked}"
    if report.acts:
        yield "acts", ", ".join(f"{name} {times:,}" for name, times in sorted(report.acts.items()))
    yield "publishes", f"{report.sent:,} sent, {report.accepted:,} accepted"
    yield "expected, received", f"{count.expected:,}, {count.received:,}"
    yield "lost", f"{count.lost:,}"
    yield "duplicated, out of order", f"{count.duplicated:,}, {count.out_of_order:,}"
    if count.misdelivered or report.malformed or report.foreign:
        yield (
            "misdelivered, altered, foreign",
            f"{count.misdelivered:,}, {report.malformed:,}, {report.foreign:,}",
        )
    slow = report.slow_count
    if slow.expected:
        yield "slow readers", f"{slow.received:,} of {slow.expected:,}; {report.sessions.slow_dropped} were dropped"


def _latency(report: Report) -> Iterator[Fact]:
    figures = report.latency_ms
    names = ("p50", "p95", "p99", "p99_9", "max")
    if figures["max"]:
        yield "latency ms: p50, p95, p99, p99.9, max", ", ".join(f"{figures[name]:,.1f}" for name in names)


def _sessions(report: Report) -> Iterator[Fact]:
    sessions = report.sessions
    rate = f" in {sessions.seconds:.1f} s" if sessions.seconds else ""
    yield "sessions", f"{sessions.ready:,} ready{rate}"
    if sessions.resumed or sessions.renewed:
        yield "came back", f"{sessions.resumed:,} with their session, {sessions.renewed:,} with a new handshake"
    for name in ("failed", "dropped", "refused"):
        reasons: dict[str, int] = getattr(sessions, name)
        for reason, times in sorted(reasons.items(), key=lambda item: -item[1]):
            yield name, f"{times:,} x {reason}"


def _server(report: Report) -> Iterator[Fact]:
    server = report.server
    if server is None:
        return
    yield "server CPU", f"{server.cores:.2f} cores"
    if server.work_per_cpu_s and report.plan.scenario != "idle":
        per_work = f"{server.work_per_cpu_s:,.0f} {report.work} per CPU second ({server.cpu_us_per_work:.1f} us each)"
        yield "server efficiency", per_work
    yield "server memory", f"{server.rss_mib:,.0f} MiB (before: {server.rss_before_mib:,.0f} MiB)"
    if report.plan.scenario == "idle" and report.sessions.ready:
        each = (server.rss_after_mib - server.rss_before_mib) * 1024 / report.sessions.ready
        yield "server memory per session", f"{each:.1f} KiB"


def _harness(report: Report) -> Iterator[Fact]:
    harness = report.harness
    if report.work == "deliveries":
        yield (
            "harness CPU",
            f"{harness.cpu_us_per_work:.1f} us per delivery, busiest process {harness.busiest_share:.0%}",
        )
        yield "harness lag", f"publishes left {harness.lag_p99_ms:.1f} ms late (p99)"
    if harness.other_cores is not None:
        yield "other processes", f"{harness.other_cores:.2f} cores"
