"""A real nginx in front of a server under test."""

import os
import signal
import subprocess
from typing import ClassVar

from tests.support.services.packages import require_program
from tests.support.services.service import Service, ServiceError, accepts_connections

_MAIN = """{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def install() -> str:
    """Return the path of nginx, installing it when it is missing."""
    return require_program("nginx", package="nginx-light")


class Nginx(Service):
    """One nginx on loopback.

    Args:
        site: Configuration for inside the ``http`` block. ``{port}`` in it becomes the port to listen on; other braces
            stay as they are.
    """

    name = "nginx"
    stop_signal: ClassVar[signal.Signals] = signal.SIGQUIT
    stop_timeout_s: ClassVar[float] = 5.0

    def __init__(self, site: str) -> None:
        super().__init__()
        self._site = site

    @property
    def url(self) -> str:
        """Where a client connects."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the configuration and let nginx check it.

        Raises:
            ServiceError: If nginx refuses it, with what nginx says.
        """
        # The workers' user must pass the folder to reach what they buffer.
        self.folder.chmod(0o755)
        (self.folder / "site.conf").write_text(self._site.replace("{port}", str(self.port)))
        user = "user nobody nogroup;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(_MAIN.format(user=user, folder=self.folder))
        check = [*self.command(), "-t", "-q"]
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError(f"nginx refuses its configuration:\n{done.stderr}")

    def command(self) -> list[str]:
        """Return the command line, in the foreground."""
        prefix = ["-p", str(self.folder), "-e", "stderr", "-c", str(self.folder / "nginx.conf")]
        return [install(), *prefix, "-g", "daemon off;"]

    def is_ready(self) -> bool:
        """Tell whether it takes connections."""
        return accepts_connections(self.port)
