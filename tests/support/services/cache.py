"""Where slow installs are kept: outside the checkout, one folder a version, made once however many ask at once."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """Return the folder of all cached installs: ``$XDG_CACHE_HOME/bayeux-server``, by default in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    root = Path(base) / "bayeux-server"
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the machine-wide lock ``name``: a second install of the same thing waits for the first."""
    with (cache_root() / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def cached_folder(name: str, make: Callable[[Path], None]) -> Path:
    """Return the cached folder ``name``, calling ``make`` with an empty folder when it is not there yet.

    What ``make`` leaves becomes visible at once or not at all: an install cut short is begun anew.
    """
    folder = cache_root() / name
    if folder.is_dir():
        return folder
    with locked(name):
        if folder.is_dir():
            return folder
        unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=cache_root()))
        try:
            make(unfinished)
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return folder
