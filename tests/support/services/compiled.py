"""The compiled modules of the server, for the tests that run it so."""

import sys
import sysconfig
from pathlib import Path

from bayeux_server import compiled
from bayeux_server.errors import LocalError
from tests.support.services.packages import InstallError, require_package, require_program


def install() -> Path:
    """Return the folder of the compiled modules, made if need be.

    Raises:
        InstallError: If there is no compiler, or it fails.
    """
    require_program("cc", package="build-essential")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        require_package(f"python{sys.version_info.major}.{sys.version_info.minor}-dev")
    try:
        return compiled.build()
    except LocalError as error:
        raise InstallError(str(error)) from None
