import inspect
from typing import Any

import pytest

from bayeux_server.server.binding import Binding, Mode
from bayeux_server.server.identity import Identity
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.origin import Origin, new_browser
from bayeux_server.server.session import ServerSession
from tests.support.core import FakePipe, Turns, make_core
from tests.support.manual_clock import ManualClock


async def _allows(mode: Mode, session: ServerSession, origin: Origin, ext: dict[str, Any] | None = None) -> bool:
    allowed = Binding(mode).allows(session, origin, ext)
    return await allowed if inspect.isawaitable(allowed) else allowed


def _origin(**fields: Any) -> Origin:
    return Origin("long-polling", "::1", **fields)


def _session(mode: Mode = "adaptive", **fields: Any) -> ServerSession:
    session = Lifecycle(make_core(ManualClock(), Turns())).new_session(address="", transport="websocket")
    session.identity = fields.get("identity")
    Binding(mode).bind(session, _origin(**fields))
    return session


class TestAdaptive:
    async def test_cookie_that_was_shown_is_needed(self) -> None:
        session = _session(browser="mine")
        assert await _allows("adaptive", session, _origin(browser="mine"))
        assert not await _allows("adaptive", session, _origin(browser="other"))
        assert not await _allows("adaptive", session, _origin())

    async def test_cookie_is_needed_from_the_first_time_it_is_shown(self) -> None:
        session = _session(offered_browser="mine")
        assert await _allows("adaptive", session, _origin())
        assert await _allows("adaptive", session, _origin(browser="mine"))
        assert not await _allows("adaptive", session, _origin())

    async def test_socket_that_was_given_the_cookie_counts_as_showing_it(self) -> None:
        session = _session(browser="mine")
        socket = FakePipe()
        assert await _allows("adaptive", session, _origin(offered_browser="mine", socket=socket))
        assert not await _allows("adaptive", session, _origin(offered_browser="other", socket=socket))
        assert not await _allows("adaptive", session, _origin(offered_browser="mine"))

    @pytest.mark.parametrize("is_alive", [True, False])
    async def test_live_socket_keeps_others_off(self, is_alive: bool) -> None:
        session = _session()
        session.socket = FakePipe(is_alive=is_alive)
        assert await _allows("adaptive", session, _origin(socket=session.socket))
        assert await _allows("adaptive", session, _origin()) is not is_alive

    async def test_user_where_both_are_known(self) -> None:
        session = _session(identity=Identity("anna"))
        session.socket = FakePipe()
        assert await _allows("adaptive", session, _origin(identity=Identity("anna")))
        assert not await _allows("adaptive", session, _origin(identity=Identity("otto")))

    async def test_cookie_may_be_any_text(self) -> None:
        assert not await _allows("adaptive", _session(browser="mine"), _origin(browser="\udcff\u00e9"))


class TestStrict:
    async def test_needs_one_of_cookie_socket_user_and_token(self) -> None:
        session = _session("strict", offered_browser="mine", identity=Identity("anna"))
        session.socket = FakePipe()
        assert not await _allows("strict", session, _origin())
        assert await _allows("strict", session, _origin(browser="mine"))
        assert await _allows("strict", session, _origin(socket=session.socket))
        assert await _allows("strict", session, _origin(identity=Identity("anna")))
        assert not await _allows("strict", session, _origin(identity=Identity("otto"), browser="mine"))
        assert await _allows("strict", session, _origin(), {"resume": session.resume_token})
        for wrong in ("x", None, 5):
            assert not await _allows("strict", session, _origin(), {"resume": wrong})


class TestOff:
    async def test_anybody_with_the_id(self) -> None:
        assert await _allows("off", _session("off", browser="mine"), _origin())


class TestCookie:
    def test_is_128_random_bits(self) -> None:
        assert len(new_browser()) >= 22
        assert new_browser() != new_browser()
