import pytest

from bayeux_server.protocol.advice import ClientAdvice, hold_for


class TestHoldFor:
    @pytest.mark.parametrize(
        ("wish", "hold_ms"),
        [
            (None, 25_000),
            (ClientAdvice(), 25_000),
            (ClientAdvice(timeout=0), 0),
            (ClientAdvice(timeout=-1), 0),
            (ClientAdvice(timeout=1_000), 1_000),
            (ClientAdvice(timeout=0.9), 0),
            (ClientAdvice(timeout=60_000), 25_000),
            (ClientAdvice(timeout=1e300), 25_000),
        ],
    )
    def test_is_what_the_client_asks_for_within_what_the_server_holds(
        self, wish: ClientAdvice | None, hold_ms: int
    ) -> None:
        assert hold_for(wish, hold_timeout_ms=25_000) == hold_ms
