"""The plots of a report, as SVG to stand inside a page."""

import io
from collections.abc import Iterator, Sequence

import matplotlib as mpl
from hdrh.histogram import HdrHistogram
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from clients.load.report import Report, Step
from clients.load.tables import latency_title

# Narrow enough that two stand side by side, and that one can be read on a telephone.
SIZE_INCHES = (5.6, 3.1)
COLOURS = {"p50": "#2a7f62", "p99": "#d1772b", "max": "#b23a48", "bars": "#3b6ea5", "memory": "#7a5ea8"}
INK, FAINT = "#1d2329", "#69737d"
# The neighbouring bars of the histogram differ by this factor.
BAR_GROWTH = 1.2
# What a logarithmic axis can show of nothing.
LEAST_MS = 0.01

# Text stays text (it can be searched and scales), and the same report always gives the same bytes.
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "bayeux",
        "font.family": "sans-serif",
        "font.size": 9.5,
        "text.color": INK,
        "axes.edgecolor": "#b9bec4",
        "axes.labelcolor": FAINT,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
    }
)


def drawings(report: Report) -> Iterator[str]:
    """Yield every plot that ``report`` has the figures for."""
    if report.seconds:
        yield latency_over_time(report)
    yield latency_histogram(report)
    if report.seconds or report.steps:
        yield rate_against_latency(report)
    if report.seconds:
        yield work_over_time(report)


def latency_over_time(report: Report) -> str:
    """Return p50, p99 and the worst latency of each second."""
    figure, axes = _figure("Latency over time", "second of the measured time", "latency, ms")
    seconds = [second.second + 1 for second in report.seconds]
    for name, values in (
        ("max", [second.max_ms for second in report.seconds]),
        ("p99", [second.p99_ms for second in report.seconds]),
        ("p50", [second.p50_ms for second in report.seconds]),
    ):
        axes.plot(seconds, values, color=COLOURS[name], label=name, marker=".")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _svg(figure, axes)


def latency_histogram(report: Report) -> str:
    """Return how many deliveries (or sessions) took how long, on a logarithmic scale of time."""
    figure, axes = _figure(f"{latency_title(report)}: histogram", "ms, logarithmic", report.work)
    values = HdrHistogram.decode(report.histogram)
    axes.set_xscale("log")
    # An iterator of the library ends with the bar that holds the greatest value; the first begins at nothing.
    for bar in values.get_log_iterator(100, BAR_GROWTH):
        if bar.count_added_in_this_iter_step:
            low_ms, high_ms = bar.value_iterated_to / BAR_GROWTH / 1000, bar.value_iterated_to / 1000
            axes.bar(
                low_ms, bar.count_added_in_this_iter_step, high_ms - low_ms, align="edge", color=COLOURS["bars"], lw=0
            )
    for name in ("p50", "p99"):
        figure_ms = max(report.latency_ms[name], LEAST_MS)
        axes.axvline(figure_ms, color=COLOURS[name], lw=1.2, label=f"{name} {report.latency_ms[name]:,.1f} ms")
    _plain_logarithmic(axes, "x")
    return _svg(figure, axes)


def rate_against_latency(report: Report) -> str:
    """Return p50 and p99 by rate: the steps of a search, or the seconds of one run."""
    what = "of each rate tried" if report.steps else "of each second"
    figure, axes = _figure(f"Rate against latency, {what}", "deliveries per second", "latency, ms, logarithmic")
    axes.set_yscale("log")
    if report.steps:
        _steps(axes, sorted(report.steps, key=lambda step: step.rate))
    else:
        rates = [second.deliveries for second in report.seconds]
        for name, values in (
            ("p99", [second.p99_ms for second in report.seconds]),
            ("p50", [second.p50_ms for second in report.seconds]),
        ):
            axes.scatter(rates, [max(value, LEAST_MS) for value in values], color=COLOURS[name], label=name, alpha=0.7)
        axes.set_xlim(0, max(rates) * 1.1 or 1)
    _plain_logarithmic(axes, "y")
    return _svg(figure, axes)


def _steps(axes: Axes, steps: Sequence[Step]) -> None:
    rates = [step.rate for step in steps]
    for name, values in (("p99", [step.p99_ms for step in steps]), ("p50", [step.p50_ms for step in steps])):
        axes.plot(rates, [max(value, LEAST_MS) for value in values], color=COLOURS[name], marker="o", label=name)
    broken = [step for step in steps if not step.held]
    if broken:
        axes.scatter(
            [step.rate for step in broken],
            [max(step.p99_ms, LEAST_MS) for step in broken],
            s=70,
            color=COLOURS["max"],
            marker="x",
            zorder=3,
            label="not held",
        )


def work_over_time(report: Report) -> str:
    """Return the deliveries of each second and, where the server's process was given, its CPU."""
    figure, axes = _figure("Deliveries and server CPU over time", "second of the measured time", "deliveries")
    seconds = [second.second + 1 for second in report.seconds]
    axes.bar(seconds, [second.deliveries for second in report.seconds], 0.8, color="#c9d8e8", label="deliveries")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if report.server is None:
        axes.set_title("Deliveries over time", loc="left", fontsize=10.5, pad=26)
        return _svg(figure, axes)
    cores = axes.twinx()
    cores.plot(
        seconds,
        [second.server_cores for second in report.seconds],
        color=COLOURS["memory"],
        marker=".",
        label="server CPU, cores (right)",
    )
    cores.set_ylim(0, max(1.0, max(second.server_cores for second in report.seconds)) * 1.1)
    cores.spines[["top", "left"]].set_visible(False)
    return _svg(figure, axes, cores)


def _figure(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.subplots()
    # Room below for the legend, which covers no figure there.
    axes.set_title(title, loc="left", fontsize=10.5, pad=26)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.yaxis.set_major_formatter(FuncFormatter(_plain))
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    axes.grid(visible=True, color="#e3e6e9", lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _plain(value: float, _position: int) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _plain_logarithmic(axes: Axes, which: str) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    axis.set_major_formatter(FuncFormatter(_plain))
    axis.set_minor_formatter(FuncFormatter(lambda _value, _position: ""))


def _svg(figure: Figure, *axes: Axes) -> str:
    handles, labels = [], []
    for one in axes:
        found = one.get_legend_handles_labels()
        handles += found[0]
        labels += found[1]
    axes[0].legend(
        handles, labels, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, fontsize=9
    )
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
