"""How many sockets a process may have open: raised as far as the system allows."""

import math
import resource

from clients.load.errors import HarnessError

# Beside its sockets a process has pipes, an epoll and its libraries.
SPARE_FILES = 64


def allow_open_files(sockets: int, processes: int) -> None:
    """Let each of ``processes``, which inherit the limit, open its share of ``sockets``.

    Raises:
        HarnessError: If the system does not allow so many.
    """
    wanted = math.ceil(sockets / processes) + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise HarnessError(
                f"{sockets:,} sockets need {wanted:,} open files in each process, and {hard:,} are allowed here:"
                " raise the limit (ulimit -n), add --processes, or lower --clients"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
