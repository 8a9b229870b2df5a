"""A real PostgreSQL server."""

import itertools
import os
import pwd
import signal
import subprocess
from pathlib import Path
from typing import ClassVar

from tests.support.services.packages import require_program
from tests.support.services.service import Service, ServiceError

# Debian keeps the server's programs out of the PATH, one folder a version.
_FOLDERS = os.pathsep.join(f"/usr/lib/postgresql/{version}/bin" for version in range(18, 13, -1))


def install() -> str:
    """Return the path of ``initdb``, installing PostgreSQL when it is missing; the other programs lie beside it."""
    found = require_program("initdb", package="postgresql", folders=_FOLDERS)
    return os.path.realpath(found)


class Postgres(Service):
    """One PostgreSQL cluster on loopback, superuser ``postgres``, no password.

    Args:
        durable: Wait for the disk at every commit, as production does; off, a crash of the machine may lose data, a
            crash of the server does not.
    """

    name = "postgres"
    # The fast shutdown: open transactions are rolled back, clients are cut.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT
    # Its own immediate shutdown; being killed it would leave its children to find out.
    death_signal = "QUIT"

    def __init__(self, *, durable: bool = False) -> None:
        super().__init__()
        self._durable = durable
        self._numbers = itertools.count(1)

    def dsn(self, database: str = "postgres") -> str:
        """Return where a client connects, for this database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Make an empty database and return its DSN."""
        name = f"test_{next(self._numbers)}"
        self._run("psql", self.dsn(), "--no-psqlrc", "--quiet", "--command", f"CREATE DATABASE {name}")
        return self.dsn(name)

    def drop_database(self, dsn: str) -> None:
        """Remove a database made by :meth:`create_database`, cutting its connections."""
        name = dsn.rpartition("/")[2]
        self._run("psql", self.dsn(), "--no-psqlrc", "--quiet", "--command", f"DROP DATABASE {name} WITH (FORCE)")

    def user(self) -> str | None:
        """Return the package's own user when we are root, which the server refuses to run as."""
        return "postgres" if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """Make the cluster, the first time."""
        data = self.folder / "data"
        if data.exists():
            return
        if user := self.user():
            account = pwd.getpwnam(user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        how = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        self._run("initdb", "--pgdata", str(data), *how, user=self.user())

    def command(self) -> list[str]:
        """Return the command line: loopback only, its socket in the data folder."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder}
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", str(self.folder / "data"), *options]

    def is_ready(self) -> bool:
        """Tell whether it takes connections."""
        ask = [self._program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        return subprocess.run(ask, check=False).returncode == 0

    def _program(self, name: str) -> str:
        return str(Path(install()).with_name(name))

    def _run(self, name: str, *arguments: str, user: str | None = None) -> None:
        done = subprocess.run(
            [self._program(name), *arguments],
            cwd=self.folder,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServiceError(f"{name} failed ({done.returncode}):\n{done.stderr}")
