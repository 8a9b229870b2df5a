"""What a message passes on its way, as machine code: made by mypyc from the modules that otherwise run as they are.

Two fifths of the CPU that Python takes for a message are saved (``benchmarks/README.md``). A build is kept outside the
checkout, under the digest of the whole package's source: after any change there is none, and the source runs.

Compiled code is stricter than the source. What it demands of the modules, beyond types that are true at run time, is
held by ``tests/unit/test_compiled_modules.py``; the conformance suite runs against the compiled server as well.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

from bayeux_server.errors import LocalError

#: Records (``msgspec.Struct``) and classes with a base from elsewhere stay as they are: mypyc makes neither faster.
MODULES: Final = (
    "metrics",
    "protocol.channel_id",
    "protocol.session_state",
    "protocol.surrogates",
    "protocol.wire",
    "server.authorizer",
    "server.binding",
    "server.channel",
    "server.clock",
    "server.delivery",
    "server.fanout",
    "server.flush",
    "server.handlers.connect",
    "server.handlers.handshake",
    "server.handlers.publish",
    "server.handlers.subscribe",
    "server.lifecycle",
    "server.listeners",
    "server.observer",
    "server.pace",
    "server.pipe",
    "server.pipeline",
    "server.registry",
    "server.remote_call",
    "server.rules",
    "server.session",
    "server.steps",
    "server.timers",
    "tallies",
    "transports.direct.exchange",
    "transports.direct.front_door",
    "transports.direct.plain_request",
    "transports.direct.responses",
    "transports.frame_reader",
    "transports.frames",
    "transports.http",
    "transports.liveness",
    "transports.open_sockets",
    "transports.upgrade",
    "transports.websocket_connection",
)

_PACKAGE: Final = Path(__file__).parent
_KEPT_BUILDS: Final = 4


def build() -> Path:
    """Compile the modules, which takes a minute, unless that is done; return the folder they are in.

    Raises:
        LocalError: If the compiler is missing, or fails.
        OSError: If the folder cannot be written.
    """
    if importlib.util.find_spec("mypyc") is None:
        raise LocalError("mypyc is missing: pip install 'bayeux-server[compile]'")
    folder = _folder()
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as workshop:
        shutil.copytree(_PACKAGE, Path(workshop, _PACKAGE.name), ignore=shutil.ignore_patterns("__pycache__"))
        _compile(Path(workshop))
        finished = Path(workshop, "finished")
        finished.mkdir()
        for library in [*Path(workshop).glob("*.so"), *Path(workshop, _PACKAGE.name).glob("**/*.so")]:
            library.rename(finished / ".".join(library.relative_to(workshop).parts))
        try:
            finished.rename(folder)
        except OSError:
            if not folder.is_dir():  # else somebody else was faster, with the same
                raise
    _forget_old_builds(folder.parent)
    return folder


def _compile(workshop: Path) -> None:
    files = [f"{_PACKAGE.name}/{name.replace('.', '/')}.py" for name in MODULES]
    environment = {**os.environ, "MYPYC_OPT_LEVEL": "2", "MYPYC_DEBUG_LEVEL": "0"}
    # Whether types are known for what is imported is no reason not to compile; it depends on the user's PYTHONPATH.
    command = [sys.executable, "-m", "mypyc", "--ignore-missing-imports", *files]
    done = subprocess.run(command, cwd=workshop, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise LocalError(f"the modules were not compiled; a C compiler and Python's headers are needed:\n{last}")


def _forget_old_builds(root: Path) -> None:
    builds = sorted((path for path in root.iterdir() if path.name[0] != "."), key=lambda path: path.stat().st_mtime)
    for path in builds[:-_KEPT_BUILDS]:
        shutil.rmtree(path, ignore_errors=True)


def use() -> bool:
    """Have the modules imported from the build of this very source. Returns False if there is none in reach.

    To be called before any of them is imported: half of each would not go together.
    """
    if any(f"{_PACKAGE.name}.{name}" in sys.modules for name in MODULES):
        return False
    try:
        folder = _folder()
        if not folder.is_dir():
            return False
        sys.meta_path.insert(0, _Finder(folder))
    except OSError:  # somebody else's folder
        return False
    return True


def is_in_use() -> bool:
    """Return whether the modules of this process are compiled."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


class _Finder(MetaPathFinder):
    """Finds the modules of a build, whose files are named after them."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name[: path.name.index(".cpython")]: path for path in folder.glob("*.so")}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        return None if file is None else importlib.util.spec_from_file_location(fullname, file)


def _folder() -> Path:
    # Not Path.home(), which raises where the user of a container has none.
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111
    return cache / "bayeux-server" / "compiled" / _digest()


def _digest() -> str:
    digest = hashlib.sha256(f"{sys.version} {platform.machine()}".encode())
    for path in sorted(_PACKAGE.glob("**/*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
