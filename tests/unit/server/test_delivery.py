from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.protocol.messages import Publication
from bayeux_server.server.delivery import Delivery
from tests.support.core import make_delivery


class TestDelivery:
    def test_is_channel_and_data_as_they_came(self) -> None:
        assert make_delivery("/a", b'{"b" : 1e2}').json == b'{"channel":"/a","data":{"b" : 1e2}}'

    def test_carries_what_extensions_add(self) -> None:
        delivery = make_delivery("/a")
        delivery.add("timestamp", "now")
        delivery.extend("ack", 1)
        delivery.extend("replay", {"id": 2})
        assert delivery.json == b'{"channel":"/a","data":1,"timestamp":"now","ext":{"ack":1,"replay":{"id":2}}}'
        assert delivery.size_bytes == len(delivery.json)

    def test_keeps_its_publication_s_ext_its_own(self) -> None:
        ext: dict[str, object] = {"binary": {}}
        publication = Publication(ChannelGrammar().parse("/a"), b"1", ext)
        Delivery(publication).extend("ack", 1)
        assert ext == {"binary": {}}

    def test_makes_a_form_once_for_all(self) -> None:
        made = []

        def form(event: bytes) -> bytes:
            made.append(event)
            return event + b"!"

        delivery = make_delivery("/a")
        assert delivery.form(form) is delivery.form(form)
        assert len(made) == 1
