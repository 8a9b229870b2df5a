"""What happens to each message, in order: session, extensions, deed, reply.

The one place where a :class:`RemoteError` becomes a reply.
"""

import inspect
from collections.abc import Callable, Coroutine, Sequence

import msgspec
import structlog
from msgspec import UNSET

from bayeux_server.errors import Overloaded, RemoteError
from bayeux_server.protocol.advice import Advice
from bayeux_server.protocol.messages import (
    META_HANDSHAKE,
    Connect,
    Disconnect,
    Handshake,
    Incoming,
    Malformed,
    Message,
    Publish,
    Reply,
    Subscribe,
    Unsubscribe,
)
from bayeux_server.protocol.session_state import Event, State
from bayeux_server.server.batch import Batch, LateAnswer, Outcome
from bayeux_server.server.core import Core
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.extension import run
from bayeux_server.server.handlers import Settle
from bayeux_server.server.handlers.connect import ConnectHandler
from bayeux_server.server.handlers.handshake import HandshakeHandler
from bayeux_server.server.handlers.publish import PublishHandler
from bayeux_server.server.handlers.subscribe import SubscribeHandler, UnsubscribeHandler
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.origin import Origin
from bayeux_server.server.session import Hold, ServerSession
from bayeux_server.server.steps import Steps, complete

log = structlog.get_logger()


class Pipeline:
    """Processes batches of messages."""

    def __init__(
        self, core: Core, lifecycle: Lifecycle, spawn: Callable[[Coroutine[None, None, None]], object]
    ) -> None:
        self._core = core
        self._lifecycle = lifecycle
        self._spawn = spawn
        self._handshake = HandshakeHandler(core, lifecycle)
        self.connect = ConnectHandler(core, lifecycle)
        self._subscribe = SubscribeHandler(core, lifecycle)
        self._unsubscribe = UnsubscribeHandler(core, lifecycle)
        self.publish = PublishHandler(core)

    async def process(self, messages: Sequence[Incoming], origin: Origin, late: LateAnswer) -> Outcome:
        """Process the messages of one request or frame. See :meth:`steps`."""
        outcome = Outcome([], [])
        await complete(self.steps(messages, origin, late, outcome))
        return outcome

    def steps(self, messages: Sequence[Incoming], origin: Origin, late: LateAnswer, outcome: Outcome) -> Steps[None]:
        """Process the messages of one request or frame, waiting only where a policy or an extension does.

        Args:
            late: Called with the answer of a connect that was held.
            outcome: What it leads to is put there.

        Raises:
            Overloaded: If there is no room for a session now.
        """
        started_s = self._core.clock.now()
        batch = Batch(origin, late, len(messages) == 1, outcome)
        handshake = None if batch.alone else next(filter(_shakes_hands, messages), None)
        for message in messages:
            if handshake is None or message is handshake:
                reply = yield from self._process_one(message, batch)
            else:
                reply = self._tell_to_shake_hands_first(message)
            if reply is not None:
                outcome.replies.append(reply)
        self._core.observer.processed(self._core.clock.now() - started_s)

    def _tell_to_shake_hands_first(self, message: Incoming) -> Reply:
        """Refuse what comes with a handshake: its session is not there yet. One request makes one session."""
        reply = _describe(message)
        _refuse(reply, RemoteError(403, (), "handshake_first"))
        self._observe(message, reply)
        return reply

    def _process_one(self, message: Incoming, batch: Batch) -> Steps[Reply | None]:
        """Process a message. Returns its reply, None if that comes later."""
        reply = _describe(message)
        session: ServerSession | None = None
        settling: list[Settle] = []
        try:
            session = yield from self._session_of(message, batch)
            if isinstance(message, Malformed):
                _refuse_wire(reply, message.error)
            else:
                yield from self._see_incoming(session, message, batch)
                if session is not None and session.state is State.CLOSED:
                    session = None  # it ended while the extensions looked on, or by one of them
                hold = yield from self._act(message, session, batch, reply, settling)
                if hold is not None:
                    batch.outcome.hold, batch.outcome.session = hold, session
                    return None
        except RemoteError as error:
            _refuse(reply, error)
        except Overloaded:
            raise
        except Exception:
            log.exception("message.failed", kind=type(message).__name__.lower())
            _refuse(reply, RemoteError(500, (), "server_error"))
        yield from self._complete(message, session, reply)
        for settle in settling:
            settle(reply.successful is True)
        return reply

    def _session_of(self, message: Incoming, batch: Batch) -> Steps[ServerSession | None]:
        if isinstance(message, Handshake):
            return self._handshake.candidate(message, batch.origin)
        session = self._core.sessions.get(message.client_id)
        if session is None:
            return None
        ext = None if isinstance(message, Malformed) else message.ext
        allowed = self._core.binding.allows(session, batch.origin, ext)
        if allowed is not True and inspect.isawaitable(allowed):
            allowed = yield allowed
        if allowed and session.is_open:
            return session
        # As if it did not exist; nobody learns that an id he guessed or stole is a living one.
        batch.outcome.foreign = True
        return None

    def _see_incoming(self, session: ServerSession | None, message: Message, batch: Batch) -> Steps[None]:
        is_publish = isinstance(message, Publish)
        if is_publish and session is None and message.client_id is None:
            session = self._stand_in(batch)
        hooks = self._core.hooks.incoming if is_publish else self._core.hooks.incoming_meta
        if hooks:
            yield from run(hooks, session, message)
        if session is not None:
            for extension in session.extensions:
                hook = extension.incoming if is_publish else extension.incoming_meta
                yield from run([hook], session, message)

    def _act(
        self, message: Message, session: ServerSession | None, batch: Batch, reply: Reply, settling: list[Settle]
    ) -> Steps[Hold | None]:
        if isinstance(message, Publish) and (session is not None or message.client_id is None):
            yield from self.publish.process(session or _proven(batch.stand_in), message, reply)
        elif session is None:
            self._tell_unknown(message, reply)
        elif isinstance(message, Handshake):
            yield from self._handshake.process(session, message, batch.origin, reply, settling)
        elif isinstance(message, Connect):
            return self._connect(message, session, batch, reply)
        elif isinstance(message, Subscribe):
            yield from self._subscribe.process(session, message, settling)
        elif isinstance(message, Unsubscribe):
            self._unsubscribe.process(session, message, settling)
        elif isinstance(message, Disconnect):
            self._lifecycle.end(session, Event.DISCONNECT, "disconnect")
        return None

    def _stand_in(self, batch: Batch) -> ServerSession:
        """Return what stands in for a publisher's session: it says where he is, and who he proved to be.

        An extension may find that out from the message itself; the next one is on its own again.
        """
        origin = batch.origin
        if batch.stand_in is None or batch.stand_in.identity is not origin.identity:
            batch.stand_in = self._lifecycle.new_session(address=origin.address, transport=origin.transport)
            batch.stand_in.identity = origin.identity
        return batch.stand_in

    def _tell_unknown(self, message: Message, reply: Reply) -> None:
        _refuse(reply, RemoteError(402, (), "session_unknown"))
        if isinstance(message, Connect):
            reply.advice = self._core.advice("handshake")
        reason = self._core.sessions.why_ended(message.client_id)
        if reason is not None:
            reply.extend("reason", reason)

    def _connect(self, message: Connect, session: ServerSession, batch: Batch, reply: Reply) -> Hold | None:
        late = batch.late  # the batch itself knows the hold, whose answer this is, and is to go with its request

        def answer(deliveries: list[Delivery], reconnect: str) -> None:
            self._answer_late(message, session, reply, deliveries, reconnect, late)

        result = self.connect.process(session, message, batch.origin, answer, alone=batch.alone)
        if isinstance(result, Hold):
            return result
        reply.advice = self._core.advice(interval_ms=result.interval_ms)
        if result.multiple_clients:
            reply.advice = msgspec.structs.replace(reply.advice, multiple_clients=True)
        batch.outcome.deliveries.extend(result.deliveries)
        batch.outcome.session = session
        return None

    def _answer_late(
        self,
        message: Connect,
        session: ServerSession,
        reply: Reply,
        deliveries: list[Delivery],
        reconnect: str,
        late: LateAnswer,
    ) -> None:
        reply.advice = self._core.advice("none" if reconnect == "none" else "retry")
        self._complete_session(message, session, reply)
        completing = self._complete_late(message, session, reply, deliveries, late)
        try:
            awaited = next(completing)
        except StopIteration:
            return
        self._spawn(complete(completing, awaited))

    def _complete_late(
        self,
        message: Connect,
        session: ServerSession,
        reply: Reply,
        deliveries: list[Delivery],
        late: LateAnswer,
    ) -> Steps[None]:
        yield from self._complete_server(message, session, reply)
        late(session, deliveries, reply)

    def _complete(self, message: Incoming, session: ServerSession | None, reply: Reply) -> Steps[None]:
        """Give the reply its clientId and let the extensions add theirs."""
        known = None if isinstance(message, Handshake) and not reply.successful else session
        if known is not None:
            self._complete_session(message, known, reply)
        yield from self._complete_server(message, known, reply)

    def _complete_session(self, message: Incoming, session: ServerSession, reply: Reply) -> None:
        """Let the session add to its reply: in the very moment that the events of a connect's reply were taken.

        Acknowledging numbers replies here. Were another reply to come between, its number would confirm too much.
        """
        reply.clientId = session.id
        if session.dropped and isinstance(message, Connect):
            reply.extend("dropped", session.dropped)
            session.dropped = 0
        if session.extensions:
            with _Refusing(message, reply):
                for extension in reversed(session.extensions):
                    extension.outgoing_meta(session, reply)

    def _complete_server(self, message: Incoming, session: ServerSession | None, reply: Reply) -> Steps[None]:
        if self._core.hooks.outgoing_meta:
            with _Refusing(message, reply):
                yield from run(self._core.hooks.outgoing_meta, session, reply)
        self._observe(message, reply)

    def _observe(self, message: Incoming, reply: Reply) -> None:
        self._core.observer.message(type(message).__name__.lower(), None if reply.error is UNSET else reply.error)


class _Refusing:
    """Turns what a hook raises into a refusal of that one message.

    A publish and a disconnect that were carried out cannot be taken back: their reply stays a success, for a client
    that read otherwise would publish once more.
    """

    __slots__ = ("_is_final", "_reply")

    def __init__(self, message: Incoming, reply: Reply) -> None:
        self._reply = reply
        self._is_final = reply.successful is True and isinstance(message, (Publish, Disconnect))

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return error is None
        if self._is_final or not isinstance(error, RemoteError):
            log.error("extension.failed", hook="outgoing_meta", exc_info=error)
        if not self._is_final:
            _refuse(self._reply, error if isinstance(error, RemoteError) else RemoteError(500, (), "server_error"))
        return True


def _proven(stand_in: ServerSession | None) -> ServerSession | None:
    """Return the stand-in of a publisher who proved who he is, else None."""
    return stand_in if stand_in is not None and stand_in.identity is not None else None


def _shakes_hands(message: Incoming) -> bool:
    """Whether it is a handshake, be it one with a mistake."""
    return isinstance(message, Handshake) or (isinstance(message, Malformed) and message.channel == META_HANDSHAKE)


def _describe(message: Incoming) -> Reply:
    """Return a reply that echoes what the client needs to know its message by."""
    if isinstance(message, Malformed):
        reply = Reply(successful=True)
        if message.channel is not None:
            reply.channel = message.channel
        if message.subscription is not None:
            reply.subscription = message.subscription
    else:
        reply = Reply(channel=message.channel.name, successful=True)
        if isinstance(message, (Subscribe, Unsubscribe)):
            reply.subscription = message.subscription
    if message.id is not None:
        reply.id = message.id
    return reply


def _refuse(reply: Reply, error: RemoteError) -> None:
    _refuse_wire(reply, str(error))


def _refuse_wire(reply: Reply, error: str) -> None:
    reply.successful = False
    reply.error = error
    if reply.channel == META_HANDSHAKE:
        # Never "handshake": Faye 1.4 answers that with hundreds of handshakes a second.
        reply.advice = Advice(reconnect="none", interval=0, timeout=0)
