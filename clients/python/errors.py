"""What can go wrong for a client."""

from typing import Any

from bayeux_server.errors import BayeuxError


class ClientError(BayeuxError):
    """Base of everything a client raises on purpose."""


class TransportError(ClientError):
    """The connection failed. The client comes back by itself; what was under way may or may not have arrived."""


class NoAnswerError(TransportError):
    """The connection seems to be there, and nothing comes back on it."""


class ClientClosedError(ClientError):
    """The client was closed, or the server told it not to come back."""


class RefusedError(ClientError):
    """The server refused a message.

    Attributes:
        code: Three digits, such as 403.
        error: The whole error, such as ``403:/foo:subscribe_denied``.
    """

    def __init__(self, error: str) -> None:
        self.error = error
        self.code = int(error[:3]) if error[:3].isdigit() else 0
        super().__init__(error or "refused without a reason")


class CallFailedError(ClientError):
    """A remote call was answered with a failure.

    Attributes:
        data: What the service said, mostly an object with ``code`` and ``message``.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        super().__init__(str(data.get("error") or data.get("message") or data) if isinstance(data, dict) else str(data))
