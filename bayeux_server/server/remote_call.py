"""Remote calls: a publish on ``/service/...`` that gets an answer.

The answer is an event on the same channel with the request's ``id``, ``data`` and ``successful``; the publish has its
ordinary reply besides. Either may come first.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog

from bayeux_server.errors import LocalError, RemoteError
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication, Publish
from bayeux_server.protocol.wire import encode
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.session import ServerSession

log = structlog.get_logger()


class RemoteCall(msgspec.Struct, frozen=True):
    """A call as its handler gets it.

    Attributes:
        session: The caller.
        channel: The service channel.
        data: The decoded JSON value.
        parameters: What stands in the place of ``{name}`` segments of the handler's pattern.
        has_id: Whether the caller waits for an answer; without an id none is sent unless the handler returns one.
    """

    session: ServerSession
    channel: ChannelId
    data: Any
    parameters: Mapping[str, str]
    has_id: bool


class CallRefusedError(RemoteError):
    """A refusal with an answer of the service's own instead of the common one.

    Attributes:
        data: The answer's ``data``, encodable as JSON.
    """

    def __init__(self, code: int, text: str, data: object) -> None:
        self.data = data
        super().__init__(code, (), text)


#: Returns the answer's ``data``; None answers ``null`` if the call has an id, and nothing if it has none.
Handler = Callable[[RemoteCall], Awaitable[object]]

_PARAMETER = re.compile(r"\{(\w+)\}")


class RemoteCalls:
    """Handlers by channel, and the calls under way.

    Args:
        max_calls_per_session: Calls of one session under way; one more is answered with 429.
    """

    def __init__(self, *, max_calls_per_session: int = 64) -> None:
        self._exact: dict[str, Handler] = {}
        self._patterns: list[tuple[re.Pattern[str], Handler]] = []
        self._max_calls_per_session = max_calls_per_session
        self._under_way: dict[asyncio.Task[None], ServerSession] = {}
        self._per_session: dict[ServerSession, int] = {}

    def add(self, pattern: str, handler: Handler) -> None:
        """Register a handler for a service channel such as ``/service/task/{task_id}``.

        Raises:
            LocalError: If it is not a service channel, or is taken.
        """
        if not pattern.startswith("/service/") or pattern in self._exact:
            raise LocalError(f"cannot serve {pattern}: not a service channel, or taken")
        if _PARAMETER.search(pattern):
            quoted = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
            self._patterns.append((re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", quoted)), handler))
        else:
            self._exact[pattern] = handler

    def start(self, session: ServerSession, message: Publish) -> bool:
        """Begin a call; the answer comes later, the caller goes on.

        Returns:
            Whether anybody serves the channel. To both reference servers a publish that nobody serves is a success.

        Raises:
            RemoteError: 429 for too many calls.
        """
        found = self._find(message.channel.name)
        if found is None:
            return False
        if self._per_session.get(session, 0) >= self._max_calls_per_session:
            raise RemoteError(429, [message.channel.name], "too_many_calls")
        handler, parameters = found
        call = RemoteCall(
            session, message.channel, msgspec.json.decode(message.data), parameters, message.id is not None
        )
        self._per_session[session] = self._per_session.get(session, 0) + 1
        task = asyncio.ensure_future(_answer(handler, call, message))
        self._under_way[task] = session
        task.add_done_callback(self._ended)
        return True

    async def stop(self) -> None:
        """Wait for the calls under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _find(self, name: str) -> tuple[Handler, Mapping[str, str]] | None:
        handler = self._exact.get(name)
        if handler is not None:
            return handler, {}
        for pattern, handler in self._patterns:
            match = pattern.fullmatch(name)
            if match is not None:
                return handler, match.groupdict()
        return None

    def _ended(self, task: asyncio.Task[None]) -> None:
        session = self._under_way.pop(task)
        self._per_session[session] -= 1
        if not self._per_session[session]:
            del self._per_session[session]


async def _answer(handler: Handler, call: RemoteCall, message: Publish) -> None:
    successful = True
    try:
        result = await handler(call)
    except CallRefusedError as refusal:
        successful, result = False, refusal.data
    except RemoteError as error:
        successful, result = False, {"error": str(error), "code": error.code, "message": error.text}
    except Exception:
        log.exception("service.failed", channel=call.channel.name, session=call.session.short_id)
        successful, result = False, {"error": "500::server_error", "code": 500, "message": "server_error"}
    if call.has_id or result is not None:
        answer = Delivery(Publication(call.channel, encode(result)))
        if message.id is not None:
            answer.add("id", message.id)
        answer.add("successful", successful)
        call.session.deliver(answer)
