from structlog.testing import capture_logs

from bayeux_server.server.flush import Flush
from tests.support.core import Turns


class _Item:
    def __init__(self, *, fails: bool = False) -> None:
        self.dirty = False
        self.flushed = 0
        self._fails = fails

    def flush(self) -> None:
        self.flushed += 1
        if self._fails:
            raise RuntimeError


class TestFlush:
    def setup_method(self) -> None:
        self.turns = Turns()
        self.flush = Flush(self.turns.call_soon)

    def test_flushes_once_a_turn_however_often_marked(self) -> None:
        item = _Item()
        for _ in range(3):
            self.flush.mark(item)
        assert item.flushed == 0
        self.turns.end()
        assert item.flushed == 1
        self.flush.mark(item)
        self.turns.end()
        assert item.flushed == 2

    def test_one_that_raises_stops_no_other(self) -> None:
        bad, good = _Item(fails=True), _Item()
        self.flush.mark(bad)
        self.flush.mark(good)
        with capture_logs() as entries:
            self.turns.end()
        assert good.flushed == 1
        assert [entry["event"] for entry in entries] == ["flush.failed"]
