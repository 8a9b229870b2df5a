import subprocess
import sys
from collections.abc import Iterator

import pytest

from clients.load.machine import Machine

BUSY = "sum(range(10_000_000)); print('done', flush=True); input()"


@pytest.fixture
def busy_child() -> Iterator[int]:
    """The id of a process of ours that has used some CPU, and waits now."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


class TestMachine:
    def test_a_server_that_the_harness_started_is_not_counted_as_harness(self, busy_child: int) -> None:
        apart = Machine(busy_child).look()
        together = Machine().look()

        assert apart.server_cpu_s > 0
        assert together.harness_cpu_s >= apart.harness_cpu_s + apart.server_cpu_s
