"""The servers under load: each started on a free loopback port and ended with its data."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import installs

STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 15.0


class ServerError(Exception):
    """A server did not start."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be started.

    Attributes:
        name: For tables.
        path: Of its Bayeux URL.
        command: Makes its command line for a port, and says in which folder it runs.
        warm_up_s: How long it must be under load before its figures are its own.
    """

    name: str
    path: str
    command: Callable[[int], tuple[list[str], Path]]
    warm_up_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Running:
    """A started server."""

    server: Server
    url: str
    pid: int


def _ours(port: int) -> tuple[list[str], Path]:
    settings = os.environ.get("BENCH_SET", "").split()
    if "server.compiled=false" not in settings:
        installs.ours()
    extra = [flag for setting in settings for flag in ("--set", setting)]
    program = str(Path(sys.executable).with_name("bayeux-server"))
    config = str(Path(__file__).with_name("bayeux.toml"))
    return [program, "serve", "--config", config, "--port", str(port), *extra], Path.cwd()


def _faye(port: int) -> tuple[list[str], Path]:
    return ["env", f"PORT={port}", "node", "server.js"], installs.faye()


def _cometd(port: int) -> tuple[list[str], Path]:
    heap = ["-Xms2g", "-Xmx4g", "-XX:+UseG1GC"]
    return ["java", *heap, f"-Dport={port}", "-cp", "classes:libs/*", "ReferenceServer"], installs.cometd()


def _bare_python(port: int) -> tuple[list[str], Path]:
    return [sys.executable, "-m", "benchmarks.peers.bare_python.server", str(port)], Path(__file__).parent.parent


OURS = Server("ours", "/bayeux", _ours)
FAYE = Server("Faye 1.4.3", "/bayeux", _faye, warm_up_s=5.0)
# The JVM compiles what runs often; before that it is some three times slower.
COMETD = Server("CometD 8.0.6", "/cometd", _cometd, warm_up_s=30.0)
BARE_PYTHON = Server("bare Python", "/bayeux", _bare_python)


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """Start ``server``, wait until it accepts connections, and end it afterwards.

    Raises:
        ServerError: If it does not start in time.
        installs.CannotInstall: If it cannot be made ready on this machine.
    """
    port = free_port()
    command, folder = server.command(port)
    log = installs.cache() / f"{server.name.split()[0].lower()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _wait_for(process, port, log)
        yield Running(server, f"http://127.0.0.1:{port}{server.path}", process.pid)
    finally:
        _end(process)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise ServerError(f"{process.args!s} did not start; see {log}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
