import pytest

from bayeux_server.protocol.channel_id import ChannelGrammar
from bayeux_server.server.authorizer import Authorizer, Operation, Verdict, authorized
from bayeux_server.server.identity import Identity
from bayeux_server.server.rules import ChannelRule

parse = ChannelGrammar().parse
ANNA = Identity("anna", frozenset({"nurse"}))


def _grants(rule_channel: str, channel: str, *, roles: tuple[str, ...] = ("*",), identity: Identity = ANNA) -> bool:
    rule = ChannelRule(rule_channel, [Operation.SUBSCRIBE], roles)
    return rule.grants(Operation.SUBSCRIBE, parse(channel), identity)


class TestChannelRule:
    @pytest.mark.parametrize(
        ("rule", "channel"),
        [
            ("/a", "/a"),
            ("/a/*", "/a/b"),
            ("/a/*", "/a/*"),
            ("/a/**", "/a/b/c"),
            ("/a/**", "/a/*"),
            ("/a/**", "/a/**"),
            ("/task/{task_id}", "/task/7"),
            ("/of/{user_id}", "/of/anna"),
            ("/of/{user_id}/**", "/of/anna/x/**"),
        ],
    )
    def test_covers(self, rule: str, channel: str) -> None:
        assert _grants(rule, channel)

    @pytest.mark.parametrize(
        ("rule", "channel"),
        [
            ("/a", "/b"),
            ("/a", "/a/b"),
            ("/a/b", "/a/*"),
            ("/a/*", "/a/**"),
            ("/a/*", "/a/b/c"),
            ("/a/**", "/a"),
            ("/a/**", "/**"),
            ("/of/{user_id}", "/of/otto"),
            ("/of/{user_id}", "/of/*"),
            ("/of/{user_id}/**", "/of/**"),
        ],
    )
    def test_does_not_reach_further_than_it_says(self, rule: str, channel: str) -> None:
        assert not _grants(rule, channel)

    def test_is_for_its_roles_and_operations(self) -> None:
        assert _grants("/a", "/a", roles=("nurse",))
        assert not _grants("/a", "/a", roles=("doctor",))
        assert not ChannelRule("/a", [Operation.SUBSCRIBE], ["*"]).grants(Operation.PUBLISH, parse("/a"), ANNA)


class _Says:
    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    def authorize(self, *_: object) -> Verdict:
        return self._verdict


class TestAuthorizers:
    @pytest.mark.parametrize(
        ("verdicts", "allowed"),
        [
            ([], True),
            ([Verdict.GRANT], True),
            ([Verdict.IGNORE], False),
            ([Verdict.IGNORE, Verdict.GRANT], True),
            ([Verdict.GRANT, Verdict.DENY], False),
        ],
    )
    def test_decide_together(self, verdicts: list[Verdict], allowed: bool) -> None:
        authorizers: list[Authorizer] = [_Says(verdict) for verdict in verdicts]
        assert authorized(authorizers, Operation.PUBLISH, parse("/a"), None) is allowed
