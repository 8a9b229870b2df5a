"""Node.js and the npm packages that the interop tests run in it."""

import hashlib
from pathlib import Path

from tests.support.services.cache import locked
from tests.support.services.packages import require_program, run_to_install
from tests.support.services.service import bound_to_this_process

TESTS = Path(__file__).parents[2]
_WEB = TESTS.parent / "clients" / "web"


def install() -> str:
    """Return the path of ``node``, installing it and the packages of tests/package-lock.json where they are missing."""
    node = require_program("node", package="nodejs")
    install_packages(TESTS)
    install_packages(_WEB)
    return node


def install_packages(folder: Path) -> None:
    """Install what ``folder/package-lock.json`` pins into ``folder/node_modules``, unless just that is there."""
    modules = folder / "node_modules"
    stamp = modules / ".installed"
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    npm = require_program("npm", package="npm")
    with locked("npm"):
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        run_to_install([npm, "ci", *quiet], what="npm packages", cwd=folder)
        stamp.write_text(wanted)
        # `make serve` looks for this one, which it makes after installing only what is served.
        (modules / ".serving").touch()


def node_command(script: Path, *arguments: str) -> list[str]:
    """Return the command that runs a script under ``tests`` in Node, bound to the life of this process."""
    return bound_to_this_process([install(), str(script), *arguments])
