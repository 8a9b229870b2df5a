"""The plots of a report, as SVG to stand inside a page."""

import io
from collections.abc import Sequence

import matplotlib as mpl
from hdrh.histogram import HdrHistogram
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clients.load.report import Report, Step

SIZE_INCHES = (8.0, 3.2)
COLOURS = {"p50": "#2a7f62", "p99": "#d1772b", "max": "#b23a48", "bars": "#3b6ea5"}

# Text stays text (it can be searched and scales), and the same report always gives the same bytes.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bayeux", "font.family": "sans-serif", "font.size": 9})


def latency_over_time(report: Report) -> str:
    """Return p50, p99 and the worst latency of each second."""
    figure, axes = _figure("Latency over time", "second of the measured time", "ms")
    seconds = [second.second for second in report.seconds]
    axes.plot(seconds, [second.p50_ms for second in report.seconds], color=COLOURS["p50"], label="p50")
    axes.plot(seconds, [second.p99_ms for second in report.seconds], color=COLOURS["p99"], label="p99")
    axes.plot(seconds, [second.max_ms for second in report.seconds], color=COLOURS["max"], label="max", alpha=0.6)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return _svg(figure)


def latency_histogram(report: Report) -> str:
    """Return how many deliveries took how long, on a logarithmic scale of time."""
    what = "sessions" if report.work == "sessions" else "deliveries"
    figure, axes = _figure("Latency histogram", "ms (logarithmic)", what)
    values = HdrHistogram.decode(report.histogram)
    bars = [
        (bucket.value_iterated_to / 1000, bucket.count_added_in_this_iter_step)
        for bucket in values.get_log_iterator(100, 1.25)
        if bucket.count_added_in_this_iter_step
    ]
    axes.set_xscale("log")
    axes.bar(
        [edge for edge, _ in bars],
        [count for _, count in bars],
        [edge * 0.2 for edge, _ in bars],
        color=COLOURS["bars"],
    )
    return _svg(figure)


def rate_against_latency(report: Report) -> str:
    """Return p50 and p99 by rate: the steps of a search, or the seconds of one run."""
    figure, axes = _figure("Rate against latency", "deliveries per second", "ms (logarithmic)")
    axes.set_yscale("log")
    if report.steps:
        _steps(axes, sorted(report.steps, key=lambda step: step.rate))
    else:
        rates = [second.deliveries for second in report.seconds]
        axes.scatter(rates, [max(second.p50_ms, 0.01) for second in report.seconds], color=COLOURS["p50"], label="p50")
        axes.scatter(rates, [max(second.p99_ms, 0.01) for second in report.seconds], color=COLOURS["p99"], label="p99")
        axes.set_xlim(left=0)
    axes.legend(frameon=False)
    return _svg(figure)


def _steps(axes: Axes, steps: Sequence[Step]) -> None:
    rates = [step.rate for step in steps]
    axes.plot(rates, [max(step.p50_ms, 0.01) for step in steps], color=COLOURS["p50"], marker="o", label="p50")
    axes.plot(rates, [max(step.p99_ms, 0.01) for step in steps], color=COLOURS["p99"], marker="o", label="p99")
    broken = [step for step in steps if not step.held]
    axes.scatter(
        [step.rate for step in broken],
        [max(step.p99_ms, 0.01) for step in broken],
        color=COLOURS["max"],
        marker="x",
        zorder=3,
        label="not held",
    )


def _figure(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
