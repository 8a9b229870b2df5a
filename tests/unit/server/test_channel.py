import pytest

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.server.channel import ChannelIndex
from bayeux_server.server.lifecycle import Lifecycle
from bayeux_server.server.session import ServerSession
from tests.support.core import Turns, make_core
from tests.support.manual_clock import ManualClock

parse = ChannelGrammar().parse


def _session() -> ServerSession:
    return Lifecycle(make_core(ManualClock(), Turns())).new_session(address="", transport="websocket")


class TestChannelIndex:
    def test_event_reaches_the_channels_and_patterns_above_it(self) -> None:
        index = ChannelIndex()
        for name in ("/a/b", "/a/*", "/**", "/a/b/*", "/c"):
            index.get_or_create(parse(name))
        assert [channel.id.name for channel in index.matching(parse("/a/b"))] == ["/a/b", "/a/*", "/**"]

    def test_subscribing_twice_and_unsubscribing_what_is_not_are_told(self) -> None:
        index, session = ChannelIndex(), _session()
        assert index.subscribe(session, parse("/a"))
        assert not index.subscribe(session, parse("/a"))
        assert index.unsubscribe(session, "/a")
        assert not index.unsubscribe(session, "/a")
        assert session.subscriptions == set()

    def test_sweep_takes_the_empty_and_leaves_what_something_keeps(self) -> None:
        index = ChannelIndex()
        for name in ("/empty", "/persistent", "/lazy", "/listened", "/subscribed"):
            index.get_or_create(parse(name))
        index.get_or_create(parse("/persistent")).persistent = True
        index.get_or_create(parse("/lazy")).lazy = True
        index.get_or_create(parse("/listened")).listeners.append(lambda _publication: None)
        index.subscribe(_session(), parse("/subscribed"))
        assert [channel.id.name for channel in index.sweep()] == ["/empty"]
        assert len(index) == 4

    def test_number_is_bounded(self) -> None:
        index = ChannelIndex(max_channels=1)
        index.get_or_create(parse("/a"))
        index.get_or_create(parse("/a"))
        with pytest.raises(RemoteError, match="403:/b:too_many_channels"):
            index.get_or_create(parse("/b"))
