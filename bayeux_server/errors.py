"""Errors, divided by whose fault they are.

A :class:`LocalError` is ours and is never turned into a reply; a :class:`RemoteError` is the peer's and becomes one in
exactly one place (:meth:`bayeux_server.server.pipeline.Pipeline.process`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class BayeuxError(Exception):
    """Base of every error this package raises on purpose."""


class LocalError(BayeuxError):
    """A mistake on our side: a bug, or a configuration that cannot work."""


@contextmanager
def starting(part: str) -> Iterator[None]:
    """Say which part cannot start when what it needs is out of reach.

    Args:
        part: As the configuration calls it, such as ``backend.broker``.

    Raises:
        LocalError: Instead of an ``OSError``. Its own text may quote an address with its password.
    """
    try:
        yield
    except OSError as error:
        reason = f": {error.strerror}" if error.strerror else ""
        raise LocalError(f"{part} cannot start: {type(error).__name__}{reason}") from error


class RemoteError(BayeuxError):
    """A message that must be answered with an error.

    Args:
        code: Three digits, in the manner of HTTP (402 is Bayeux for "the message or its session is not valid").
        arguments: What the error is about, such as a channel or a field name.
        text: A snake_case reason, or a sentence for people.

    ``str(error)`` is the wire form ``code:arg,arg:text``. Characters that would end an argument are replaced, so that
    nothing a client sent can break out of its place.

    Source: Bayeux 1.0, "error field".
    """

    def __init__(self, code: int, arguments: Sequence[str] = (), text: str = "") -> None:
        self.code = code
        self.arguments = tuple(arguments)
        self.text = text
        super().__init__(f"{code:03d}:{','.join(map(_contained, self.arguments))}:{text}")


class BodyError(BayeuxError):
    """A whole body or frame that cannot be read as Bayeux: no single message of it can be answered.

    Over HTTP it becomes status 400, on a WebSocket close code 1007; if it is ``too_big``, 413 and 1009.
    """

    def __init__(self, text: str, *, too_big: bool = False) -> None:
        self.too_big = too_big
        super().__init__(text)


class Overloaded(BayeuxError):
    """Not now, but later: nothing is wrong with the message, there is no room for it.

    Over HTTP it becomes status 503 with a body that is not JSON, the one answer after which stock clients come back
    without a storm; on a WebSocket, close code 1013.
    """


_BREAKERS = str.maketrans({":": "_", ",": "_", "\r": "_", "\n": "_"})
_LONGEST_ARGUMENT = 255


def _contained(argument: str) -> str:
    return argument[:_LONGEST_ARGUMENT].translate(_BREAKERS)
