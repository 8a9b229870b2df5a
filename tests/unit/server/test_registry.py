import pytest

from bayeux_server.errors import Overloaded
from bayeux_server.protocol.session_state import Event
from bayeux_server.server.identity import Identity
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.registry import SessionRegistry
from bayeux_server.server.session import ServerSession
from tests.support.core import Turns, make_core
from tests.support.manual_clock import ManualClock


def _session(address: str = "10.0.0.1", user: str | None = None) -> ServerSession:
    session = Lifecycle(make_core(ManualClock(), Turns())).new_session(address=address, transport="websocket")
    session.identity = None if user is None else Identity(user)
    return session


class TestSessionRegistry:
    def test_finds_by_id_and_user(self) -> None:
        registry = SessionRegistry()
        anna, other = _session(user="anna"), _session()
        for session in (anna, other):
            registry.add(session)
        assert registry.get(anna.id) is anna
        assert registry.get(None) is None
        assert registry.get("unknown") is None
        assert registry.of_user("anna") == [anna]
        assert registry.of_user("nobody") == []
        assert set(registry) == {anna, other}

    @pytest.mark.parametrize(
        ("registry", "reason"),
        [
            (SessionRegistry(max_sessions=1), "too_many_sessions"),
            (SessionRegistry(max_per_address=1), "too_many_sessions_of_address"),
            (SessionRegistry(max_per_user=1), "too_many_sessions_of_user"),
        ],
    )
    def test_bounds_sessions_and_counts_down(self, registry: SessionRegistry, reason: str) -> None:
        first = _session(user="anna")
        registry.add(first)
        with pytest.raises(Overloaded, match=f"^{reason}$"):
            registry.add(_session(user="anna"))
        registry.remove(first, Event.DISCONNECT, "disconnect")
        registry.add(_session(user="anna"))

    def test_tells_listeners_and_remembers_why(self) -> None:
        registry, told = SessionRegistry(), []
        registry.on_added.append(lambda session: told.append(("added", session.id)))
        registry.on_removed.append(lambda session, reason: told.append((reason, session.id)))
        session = _session()
        registry.add(session)
        registry.remove(session, Event.EXPIRE, "expired")
        assert told == [("added", session.id), ("expired", session.id)]
        assert registry.why_ended(session.id) == "expired"
        assert registry.why_ended("unknown") is None

    def test_forgets_the_oldest_reasons(self) -> None:
        registry = SessionRegistry()
        registry._REMEMBERED = 2  # the real number would take 10,000 sessions
        sessions = [_session() for _ in range(3)]
        for session in sessions:
            registry.add(session)
            registry.remove(session, Event.DISCONNECT, "disconnect")
        assert [registry.why_ended(session.id) for session in sessions] == [None, "disconnect", "disconnect"]
