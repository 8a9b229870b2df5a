"""The living sessions of this node."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from bayeux_server.errors import Overloaded
from bayeux_server.protocol.session_state import Event
from bayeux_server.server.listeners import tell
from bayeux_server.server.session import ServerSession

#: Called with a session and why it ended: "disconnect", "expired", "overflow", "kicked" and the like.
RemovalListener = Callable[[ServerSession, str], None]


class SessionRegistry:
    """Sessions by id, counted by user and by address.

    Args:
        max_per_user: Sessions one authenticated user may have.
        max_per_address: Sessions one address may have; generous, for an office sits behind one.
        max_sessions: Sessions in all.
    """

    #: How many ended sessions are remembered, so that a client that comes back hears why.
    _REMEMBERED = 10_000

    def __init__(
        self, *, max_per_user: int = 100, max_per_address: int = 10_000, max_sessions: int = 1_000_000
    ) -> None:
        self._sessions: dict[str, ServerSession] = {}
        self._ended: OrderedDict[str, str] = OrderedDict()
        self._max_per_user = max_per_user
        self._max_per_address = max_per_address
        self._max_sessions = max_sessions
        self._per_user: Counter[str] = Counter()
        self._per_address: Counter[str] = Counter()
        self.on_added: list[Callable[[ServerSession], None]] = []
        self.on_removed: list[RemovalListener] = []

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[ServerSession]:
        return iter(list(self._sessions.values()))

    def get(self, client_id: str | None) -> ServerSession | None:
        """Return the living session of that id."""
        return self._sessions.get(client_id) if client_id is not None else None

    def of_user(self, user_id: str) -> list[ServerSession]:
        """Return the living sessions of a user."""
        if not self._per_user[user_id]:
            return []
        return [session for session in self._sessions.values() if session.user_id == user_id]

    def why_ended(self, client_id: str | None) -> str | None:
        """Return why a session ended lately, None if that is not known."""
        return self._ended.get(client_id) if client_id is not None else None

    def add(self, session: ServerSession) -> None:
        """Register a session whose handshake has passed.

        Raises:
            Overloaded: If there are too many of its user, of its address, or in all.
        """
        user_id = session.user_id
        if len(self._sessions) >= self._max_sessions:
            raise Overloaded("too_many_sessions")
        if self._per_address[session.address] >= self._max_per_address:
            raise Overloaded("too_many_sessions_of_address")
        if user_id is not None and self._per_user[user_id] >= self._max_per_user:
            raise Overloaded("too_many_sessions_of_user")
        session.happened(Event.HANDSHAKE)
        self._sessions[session.id] = session
        self._count(session, 1)
        for listener in self.on_added:
            listener(session)

    def remove(self, session: ServerSession, event: Event, reason: str) -> None:
        """Take a session out and tell the listeners."""
        session.happened(event)
        del self._sessions[session.id]
        self._count(session, -1)
        self._ended[session.id] = reason
        if len(self._ended) > self._REMEMBERED:
            self._ended.popitem(last=False)
        tell(self.on_removed, session, reason)

    def _count(self, session: ServerSession, change: int) -> None:
        counters = [(self._per_address, session.address)]
        if session.user_id is not None:
            counters.append((self._per_user, session.user_id))
        for counter, key in counters:
            counter[key] += change
            if not counter[key]:
                del counter[key]
