"""Fan-out: 500 WebSocket subscribers of one channel, 300 bytes, at 20k, 50k and 100k deliveries a second.

Against the raw C ceiling and Faye 1.4.3 in the same run. Run: ``python -m benchmarks.fanout [--short]``
"""

import click

from benchmarks import versus
from benchmarks.rows import Row, fan_out
from benchmarks.servers import FAYE, OURS
from benchmarks.table import make_console

RATES = (20_000, 50_000, 100_000)


@click.command()
@click.option("--short", is_flag=True, help="One round of 4 s runs.")
def main(*, short: bool) -> None:
    """Measure fan-out against Faye and the C ceiling."""
    rows = [
        Row(f"fan-out-{rate}", f"fan-out 500, {rate // 1000}k/s", fan_out(rate), has_ceiling=True) for rate in RATES
    ]
    versus.run(rows, [OURS, FAYE], versus.SHORT if short else versus.LONG, make_console(), name="fanout")


if __name__ == "__main__":
    main()
