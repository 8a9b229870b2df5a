"""What a client says, and what it makes of the answers."""

from typing import Any

import pytest

from clients.python.session import ClientSession, SessionLost

ADVICE = {"reconnect": "retry", "interval": 0, "timeout": 20_000}


def make_session(**handshake_ext: Any) -> ClientSession:
    session = ClientSession(wants_ack=True)
    session.shook_hands({"clientId": "c1", "successful": True, "advice": ADVICE, "ext": handshake_ext})
    return session


class TestHandshake:
    def test_it_asks_for_acknowledging_and_brings_the_token(self) -> None:
        session = ClientSession(wants_ack=True)
        session.token = "t"
        assert session.handshake(["websocket"])["ext"] == {"ack": True, "auth": {"token": "t"}}

    def test_it_has_no_ext_without_a_wish(self) -> None:
        assert "ext" not in ClientSession(wants_ack=False).handshake(["websocket"])

    def test_the_servers_hold_time_decides_about_patience(self) -> None:
        assert make_session().patience_s == pytest.approx(24.0)


class TestAcknowledging:
    def test_a_connect_confirms_the_last_batch(self) -> None:
        session = make_session(ack=True)
        session.connected({"successful": True, "advice": ADVICE, "ext": {"ack": 3}})
        assert session.connect("websocket", hold=True)["ext"] == {"ack": 3}

    def test_a_server_that_does_not_acknowledge_is_told_nothing(self) -> None:
        session = make_session()
        assert "ext" not in session.connect("websocket", hold=True)


class TestAdvice:
    def test_an_unknown_session_is_forgotten(self) -> None:
        session = make_session()
        with pytest.raises(SessionLost, match="402"):
            session.connected(
                {"successful": False, "error": "402::session_unknown", "advice": {**ADVICE, "reconnect": "handshake"}}
            )
        assert session.client_id is None

    def test_a_passing_refusal_keeps_the_session(self) -> None:
        session = make_session()
        with pytest.raises(SessionLost):
            session.connected({"successful": False, "error": "503::later", "advice": ADVICE})
        assert session.client_id == "c1"

    def test_a_goodbye_is_one_even_when_it_is_polite(self) -> None:
        session = make_session()
        with pytest.raises(SessionLost):
            session.connected({"successful": True, "advice": {**ADVICE, "reconnect": "none"}})
        assert session.reconnect == "none"

    def test_a_notice_of_the_end_is_one_too(self) -> None:
        session = make_session()
        session.noticed({"channel": "/meta/disconnect", "successful": True})
        assert session.reconnect == "none"
        session.shook_hands({"clientId": "c2", "successful": True})
        assert session.reconnect == "retry"


class TestReplay:
    def test_a_position_is_asked_for_where_there_is_a_history(self) -> None:
        assert make_session(replay=True).subscribe("/a", {}, {"/a": 5})["ext"] == {"replay": {"/a": 5}}

    def test_and_not_where_there_is_none(self) -> None:
        assert "ext" not in make_session().subscribe("/a", {}, {"/a": 5})

    def test_it_goes_beside_other_fields(self) -> None:
        message = make_session(replay=True).subscribe("/a", {"event_types": ["task.*"]}, {"/a": -2})
        assert message["ext"] == {"event_types": ["task.*"], "replay": {"/a": -2}}
