"""The life of a real service in a test: start, stop, kill, restart, always torn down."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from tests.support.services.packages import program

_POLL_S = 0.02


class ServiceError(Exception):
    """A service did not start; the text ends with the end of its log."""


def free_port() -> int:
    """Return a TCP port on which nothing listens on loopback.

    It lies below the range the kernel takes for outgoing connections: one of those could otherwise sit on a service's
    port while the service is being restarted.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def accepts_connections(port: int) -> bool:
    """Tell whether something accepts TCP connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def bound_to_this_process(argv: Sequence[str], *, death_signal: str = "KILL", user: str | None = None) -> list[str]:
    """Return the command that runs ``argv`` so that it dies with the thread that starts it, even when that is killed.

    Args:
        argv: The command.
        death_signal: What it is sent when its parent is gone, without ``SIG``.
        user: Run it as this user (needs root).
    """
    setpriv = program("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return list(argv)
    # Two steps, because a change of user clears the death signal.
    become = [setpriv, "--reuid", user, "--regid", user, "--init-groups", "--"] if user else []
    return [*become, setpriv, "--pdeathsig", death_signal, "--", *argv]


class Service(ABC):
    """One process, or family of processes, with a data folder that lives as long as this object is open.

    The port is chosen once: a restarted service is found where it was. Start it in a thread that outlives it (in
    practice the main one), because the kernel ends it when that thread ends.
    """

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    death_signal: ClassVar[str] = "KILL"
    start_timeout_s: ClassVar[float] = 60.0
    stop_timeout_s: ClassVar[float] = 15.0

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"bayeux-{self.name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the service in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether the service answers."""

    def prepare(self) -> None:  # noqa: B027 - most services have nothing to prepare
        """Make what the service needs before its first start (called before every start; must be repeatable)."""

    def user(self) -> str | None:
        """Return the user to run as; None for this process's own."""
        return None

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running service."""
        if self._process is None:
            raise ServiceError(f"{self.name} is not running")
        return self._process.pid

    @property
    def log(self) -> Path:
        """All that the service printed, over all its starts."""
        return self.folder / f"{self.name}.log"

    def start(self) -> Self:
        """Start the service and return when it answers.

        Raises:
            ServiceError: If it exits or does not answer within ``start_timeout_s``.
        """
        if self.running:
            return self
        self.prepare()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                bound_to_this_process(self.command(), death_signal=self.death_signal, user=self.user()),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches only the test run, which then stops its services in order.
                process_group=0,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + self.start_timeout_s
        while not self.is_ready():
            if not self.running:
                raise ServiceError(f"{self.name} ended while starting:\n{self._log_end()}")
            if time.monotonic() > give_up_at:
                raise ServiceError(f"{self.name} did not answer in {self.start_timeout_s:.0f} s:\n{self._log_end()}")
            time.sleep(_POLL_S)

    def _log_end(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Ask the service to end, and end it by force when it has not after ``stop_timeout_s``."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the service as a crash does: at once, nothing flushed, no connection closed in order."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start again, on the same port and data."""
        self.stop()
        self.start()

    def wait(self, timeout_s: float) -> int:
        """Wait until the service has ended by itself, and return its exit code; blocks.

        Raises:
            ServiceError: If it has not in time.
        """
        if self._process is None:
            raise ServiceError(f"{self.name} is not running")
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ServiceError(f"{self.name} did not end in {timeout_s:.0f} s:\n{self._log_end()}") from None

    def suspend(self) -> None:
        """Freeze all its processes: connections stay open, nothing is answered."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen service go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop the service and remove its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            _signal_group(process.pid, signal.SIGCONT)
            process.send_signal(how)
            try:
                process.wait(self.stop_timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
        # Children that outlived the first process go too.
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(group: int, what: signal.Signals) -> None:
    try:
        os.killpg(group, what)
    except ProcessLookupError:
        return
