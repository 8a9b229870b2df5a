"""Feature switches: who gets which part of the care layer while it is being rolled out. Pure.

A user falls into one of 10,000 places by a hash of the user id, the same one for every feature and on every node:
raising a percentage never takes a feature from anybody, and the first tenth are the same people throughout a roll-out.
Source: the design's "Deployment Strategy", which goes from 10 % to 100 % of the coordinators.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from hashlib import blake2s
from typing import Final

from channels.stores.records import FeatureSwitch

_PLACES: Final = 10_000
_PLACES_OF_A_PERCENT: Final = _PLACES // 100


class Feature(StrEnum):
    """What can be switched. The design's phases 2 to 5, in their order."""

    PRESENCE = "presence"
    LIVE_UPDATES = "live_updates"
    LOCKS = "locks"
    FEED = "feed"
    NOTIFICATIONS = "notifications"


class Switches:
    """The switches as they stand.

    Args:
        switches: As they are stored; names that this version does not know are left out.
        default_percentage: Of the users who get a feature that has no switch, 0 to 100.
    """

    def __init__(self, switches: Iterable[FeatureSwitch], *, default_percentage: int) -> None:
        stored = {switch.name: switch for switch in switches}
        self._switches: Final[Mapping[Feature, FeatureSwitch]] = {
            feature: stored.get(feature.value) or FeatureSwitch(name=feature.value, percentage=default_percentage)
            for feature in Feature
        }

    @property
    def teams(self) -> frozenset[str]:
        """The teams that any switch names."""
        return frozenset(team for switch in self._switches.values() for team in switch.teams)

    @property
    def all_on(self) -> bool:
        """Whether everybody has everything, so that nobody has to be asked about."""
        return all(switch.percentage >= 100 for switch in self._switches.values())

    def of(self, feature: Feature) -> FeatureSwitch:
        """Return a feature's switch; one that is not stored has the default percentage and no teams."""
        return self._switches[feature]

    def on_for(self, user_id: str | None, teams: Collection[str]) -> frozenset[Feature]:
        """Return what a user has who belongs to ``teams``; nobody in particular has what everybody has."""
        return frozenset(feature for feature in Feature if is_on(self._switches[feature], user_id, teams))


def is_on(switch: FeatureSwitch, user_id: str | None, teams: Collection[str]) -> bool:
    """Say whether a user has the feature of a switch: by the percentage, or by a team."""
    if switch.percentage >= 100 or not set(switch.teams).isdisjoint(teams):
        return True
    return user_id is not None and place_of(user_id) < switch.percentage * _PLACES_OF_A_PERCENT


def place_of(user_id: str) -> int:
    """Return a user's place, 0 to 9,999. It must never change: people would gain and lose features by an upgrade."""
    digest = blake2s(user_id.encode(), digest_size=8, person=b"features").digest()
    return int.from_bytes(digest, "big") % _PLACES


#: First segments of channels that carry one feature's events and no other's.
_OF_ROOT: Final[Mapping[str, Feature]] = {
    "task_list": Feature.LIVE_UPDATES,
    "activity_feed": Feature.FEED,
    "notifications": Feature.NOTIFICATIONS,
}
_LOCK_EVENTS: Final = ("presence.field_locked", "presence.field_unlocked")


def of_event(root: str, event_type: str) -> Feature | None:
    """Return the feature that an event on a channel beginning with ``root`` belongs to, None if to none."""
    if root != "task":
        return _OF_ROOT.get(root)
    if event_type in _LOCK_EVENTS:
        return Feature.LOCKS
    return Feature.PRESENCE if event_type.startswith("presence.") else Feature.LIVE_UPDATES


def of_channel(segments: tuple[str, ...]) -> Feature | None:
    """Return the feature without which a subscription could bring nothing; None if there is no single one."""
    if segments[0] == "task":
        return Feature.PRESENCE if segments[2:] == ("presence",) else None
    return _OF_ROOT.get(segments[0])


def of_message(message_type: str) -> Feature | None:
    """Return the feature that a message to ``/service/presence`` needs; what ends something always passes."""
    if message_type in ("lock.acquire", "lock.take_over", "lock.renew"):
        return Feature.LOCKS
    return None
