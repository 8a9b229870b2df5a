"""A real SpiceDB server, built from its Go module."""

import hashlib
import itertools
import secrets
import shutil
from pathlib import Path

from tests.support.services.cache import cached_folder
from tests.support.services.packages import InstallError, program, run_to_install
from tests.support.services.service import Service, accepts_connections, free_port

_BUILD = Path(__file__).parent / "builds" / "spicedb"


def install() -> Path:
    """Return the path of the ``spicedb`` binary, building it (some four minutes) when it is not cached.

    Raises:
        InstallError: If it is not cached and there is no Go to build it with.
    """
    version = hashlib.sha256((_BUILD / "go.sum").read_bytes()).hexdigest()[:12]
    return cached_folder(f"spicedb-{version}", _build) / "spicedb"


def _build(folder: Path) -> None:
    go = program("go", folders="/usr/local/go/bin")
    if go is None:
        raise InstallError("SpiceDB is built from source: Go 1.26.5 or later is needed")
    source = folder / "source"
    shutil.copytree(_BUILD, source)
    # As a background task: whoever asked goes on working meanwhile.
    nice = [nice, "-n", "10"] if (nice := program("nice")) else []
    build = [go, "build", "-o", str(folder / "spicedb"), "github.com/authzed/spicedb/cmd/spicedb"]
    # The local toolchain, and never another one fetched behind our back.
    run_to_install([*nice, *build], what="SpiceDB", cwd=source, GOTOOLCHAIN="local", GOFLAGS="-mod=mod")
    shutil.rmtree(source)


class SpiceDB(Service):
    """One SpiceDB on loopback, in memory, without TLS.

    Every bearer token has a store of its own: a test that uses :meth:`new_token` shares nothing with any other.
    """

    name = "spicedb"

    def __init__(self) -> None:
        super().__init__()
        self._readonly_port = free_port()
        self._numbers = itertools.count(1)
        self._salt = secrets.token_hex(4)

    @property
    def target(self) -> str:
        """Where a gRPC client connects, as ``host:port``."""
        return f"127.0.0.1:{self.port}"

    def new_token(self) -> str:
        """Return a bearer token never used before: the key of an empty store."""
        return f"test-{self._salt}-{next(self._numbers)}"

    def command(self) -> list[str]:
        """Return the command line: gRPC only; it asks nobody for newer releases."""
        addresses = [f"--grpc-addr={self.target}", f"--readonly-grpc-addr=127.0.0.1:{self._readonly_port}"]
        # A connection is kept, so that a test never meets the server's own recycling by chance.
        quiet = ["--grpc-max-conn-age=1h", "--skip-release-check", "--log-level=warn", "--log-format=json"]
        return [str(install()), "serve-testing", *addresses, *quiet]

    def is_ready(self) -> bool:
        """Tell whether it takes connections."""
        return accepts_connections(self.port)
