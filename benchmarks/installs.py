"""Makes the peers ready to run, once, in a cache outside the checkout."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path

from bayeux_server import compiled
from bayeux_server.errors import LocalError

PEERS = Path(__file__).parent / "peers"


class CannotInstall(Exception):
    """A peer cannot be made ready here; the text says what is missing."""


def cache() -> Path:
    """Return the folder for everything that is slow to make."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bayeux-server" / "peers"
    root.mkdir(parents=True, exist_ok=True)
    return root


def ours() -> None:
    """Compile our own server, which takes a minute after any change of its source.

    Raises:
        CannotInstall: If that cannot be done here.
    """
    try:
        compiled.build()
    except LocalError as error:
        raise CannotInstall(f'{error}\nBENCH_SET="server.compiled=false" measures it as it is') from error


def faye() -> Path:
    """Return a folder in which ``node server.js`` runs Faye 1.4.3."""
    return _made("faye", [PEERS / "faye" / "package.json", PEERS / "faye" / "server.js"], _install_faye)


def cometd() -> Path:
    """Return a folder with the ``libs`` and ``classes`` of CometD 8.0.6 on Jetty 12."""
    return _made("cometd", [PEERS / "cometd" / "pom.xml", PEERS / "cometd" / "ReferenceServer.java"], _install_cometd)


def ceiling() -> Path:
    """Return a folder with ``rawsend`` and ``drain``: the C sender and the C receiver."""
    return _made("ceiling", [PEERS / "ceiling" / "rawsend.c", PEERS / "ceiling" / "drain.c"], _install_ceiling)


def _made(name: str, sources: Sequence[Path], make: Callable[[Path], None]) -> Path:
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = cache() / f"{name}-{digest}"
    with _locked(cache() / f"{name}.lock"):
        if not (folder / ".ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for source in sources:
                shutil.copy(source, folder)
            make(folder)
            (folder / ".ready").touch()
    return folder


def _install_faye(folder: Path) -> None:
    _run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], folder, "Node and npm")


def _install_cometd(folder: Path) -> None:
    _run(
        ["mvn", "-q", "dependency:copy-dependencies", "-DoutputDirectory=libs", "-DincludeScope=runtime"],
        folder,
        "Maven",
    )
    _run(["javac", "-cp", "libs/*", "-d", "classes", "ReferenceServer.java"], folder, "a JDK 17")


def _install_ceiling(folder: Path) -> None:
    for name in ("rawsend", "drain"):
        _run(["cc", "-O2", "-o", name, f"{name}.c"], folder, "a C compiler")


def _run(command: list[str], folder: Path, needs: str) -> None:
    if shutil.which(command[0]) is None:
        raise CannotInstall(f"{command[0]} was not found: {needs} is needed")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotInstall(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()[-400:]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        flock(file, LOCK_EX)
        yield
