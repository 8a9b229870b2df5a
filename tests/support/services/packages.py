"""Programs from the operating system's packages."""

import os
import shutil
import subprocess

from tests.support.services.cache import locked

# Debian starts a service as soon as its package is installed; a machine that only runs tests wants none of them.
# The policy file is the packaging system's own switch for that; one that was there before is left alone.
_APT_INSTALL = """
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\\nexit 101\\n' > "$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
"""


class InstallError(Exception):
    """Something the tests need cannot be installed here; the text says what a person can do."""


def run_to_install(
    argv: list[str], *, what: str, cwd: str | os.PathLike[str] | None = None, **environment: str
) -> None:
    """Run an installing command quietly.

    Args:
        argv: The command.
        what: What it installs, for the error.
        cwd: Folder to run it in.
        environment: Variables added to this process's own.

    Raises:
        InstallError: If it fails, with the end of what it printed.
    """
    done = subprocess.run(
        argv,
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise InstallError(
            f"installing {what} failed ({done.returncode}): {' '.join(argv[:3])}...\n{done.stdout[-2000:]}"
        )


def program(*names: str, folders: str = "") -> str | None:
    """Return the path of the first of ``names`` found on the PATH, in the system's folders or in ``folders``."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", folders])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def require_program(*names: str, package: str, folders: str = "") -> str:
    """Return the path of a program, installing its Debian package when it is missing.

    Raises:
        InstallError: If it is missing and cannot be installed.
    """
    if found := program(*names, folders=folders):
        return found
    with locked("apt"):
        if not (found := program(*names, folders=folders)):
            _apt_install(package)
            found = program(*names, folders=folders)
    if not found:
        raise InstallError(f"the package {package} is installed, but none of {', '.join(names)} was found")
    return found


def require_package(package: str) -> None:
    """Install a Debian package.

    Raises:
        InstallError: If it cannot be installed.
    """
    with locked("apt"):
        _apt_install(package)


def _apt_install(package: str) -> None:
    if not shutil.which("apt-get"):
        raise InstallError(f"{package} is needed and there is no apt-get here: install it by your system's own means")
    shell = ["sh", "-c", _APT_INSTALL, "sh", package]
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise InstallError(f"{package} is needed: as root, run apt-get install {package}")
        shell = ["sudo", *shell]
    run_to_install(shell, what=package)
