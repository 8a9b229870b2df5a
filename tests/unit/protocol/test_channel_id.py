import pytest

from bayeux_server.errors import RemoteError
from bayeux_server.protocol.channel_id import ChannelGrammar, ChannelKind


class TestGrammar:
    @pytest.mark.parametrize("name", ["/a", "/a/b", "/A-z_0!~()$@", "/a b", "/a#+.{}", "/*", "/**", "/a/*", "/a/b/**"])
    def test_takes_what_clients_in_the_field_use(self, name: str) -> None:
        assert ChannelGrammar().parse(name).name == name

    @pytest.mark.parametrize(
        "name",
        ["", "/", "a", "//", "/a/", "//a", "/a//b", "/*/a", "/**/a", "/a*", "/a/b*", "/ä", "/a?", "/a\n", "/a:b"],
    )
    def test_refuses_what_is_no_channel(self, name: str) -> None:
        with pytest.raises(RemoteError) as refusal:
            ChannelGrammar().parse(name)
        assert refusal.value.code == 405

    def test_is_narrower_when_asked_to_be(self) -> None:
        strict = ChannelGrammar(wide=False)
        assert strict.parse("/a-_!~()$@").name == "/a-_!~()$@"
        with pytest.raises(RemoteError):
            strict.parse("/a b")

    def test_bounds_length_and_segments(self) -> None:
        grammar = ChannelGrammar(max_length=10, max_segments=3)
        assert grammar.parse("/a/b/c").segments == ("a", "b", "c")
        for name in ("/a/b/c/d", "/" + "a" * 10):
            with pytest.raises(RemoteError):
                grammar.parse(name)


class TestChannelId:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("/meta/connect", ChannelKind.META),
            ("/meta", ChannelKind.META),
            ("/service/a", ChannelKind.SERVICE),
            ("/metal/a", ChannelKind.BROADCAST),
            ("/a/meta", ChannelKind.BROADCAST),
            ("/**", ChannelKind.BROADCAST),
        ],
    )
    def test_kind_is_told_by_the_first_segment(self, name: str, kind: ChannelKind) -> None:
        assert ChannelGrammar().parse(name).kind is kind

    def test_matching_names_are_the_exact_one_then_patterns(self) -> None:
        assert ChannelGrammar().parse("/a/b/c").matching() == ("/a/b/c", "/a/b/*", "/a/b/**", "/a/**", "/**")

    def test_meta_and_service_channels_are_reached_by_name_only(self) -> None:
        for name in ("/meta/connect", "/service/a/b"):
            assert ChannelGrammar().parse(name).matching() == (name,)

    def test_equals_by_name(self) -> None:
        one, two = ChannelGrammar().parse("/a"), ChannelGrammar().parse("/a")
        assert one == two
        assert len({one, two}) == 1
        assert one.json == b'"/a"'
