"""Waits between tries."""

from clients.python import BayeuxClient
from clients.python.backoff import Backoff


class TestBackoff:
    def test_it_doubles_up_to_the_longest(self) -> None:
        backoff = Backoff(first_s=1.0, longest_s=5.0, draw=lambda: 1.0)
        assert [backoff.next_s() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]

    def test_half_of_it_is_drawn(self) -> None:
        draws = iter([0.0, 0.5])
        backoff = Backoff(first_s=1.0, longest_s=1.0, draw=lambda: next(draws))
        assert [backoff.next_s(), backoff.next_s()] == [0.5, 0.75]

    def test_after_a_success_it_begins_anew(self) -> None:
        backoff = Backoff(first_s=1.0, draw=lambda: 1.0)
        backoff.next_s()
        backoff.reset()
        assert backoff.next_s() == 1.0

    def test_any_number_of_tries_is_bounded(self) -> None:
        backoff = Backoff(first_s=1.0, longest_s=30.0, draw=lambda: 1.0)
        assert max(backoff.next_s() for _ in range(5_000)) == 30.0


class TestAdvice:
    def test_a_server_that_stops_says_how_long_to_stay_away(self) -> None:
        connection = BayeuxClient("http://127.0.0.1/bayeux", backoff=Backoff(first_s=1.0, draw=lambda: 1.0))._connection
        connection._session.advised({"advice": {"reconnect": "retry", "interval": 4_000}})
        assert [connection._pause_s() for _ in range(4)] == [4.0, 4.0, 4.0, 8.0]
