import pytest

from bayeux_server.errors import LocalError
from bayeux_server.protocol.session_state import TRANSITIONS, Event, State, after


class TestStates:
    def test_every_state_has_a_row_and_every_event_a_use(self) -> None:
        assert set(TRANSITIONS) == set(State)
        assert {event for row in TRANSITIONS.values() for event in row} == set(Event)

    def test_life_of_a_session(self) -> None:
        state = State.NEW
        for event in (Event.HANDSHAKE, Event.CONNECT, Event.CONNECT, Event.RELEASE, Event.EXPIRE):
            state = after(state, event)
        assert state is State.CLOSED

    @pytest.mark.parametrize(
        ("state", "event"), [(State.HOLDING, Event.EXPIRE), (State.CLOSED, Event.CONNECT), (State.NEW, Event.RELEASE)]
    )
    def test_what_cannot_happen_is_our_mistake(self, state: State, event: Event) -> None:
        with pytest.raises(LocalError):
            after(state, event)
