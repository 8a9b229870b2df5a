"""What the audit log says of the story, once the server has stopped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from extensions.audit.segments import segment_paths, verify
from extensions.care.story import StoryError


class Audited(NamedTuple):
    """What an audit log shows.

    Attributes:
        records: In its chain, which holds.
        shown_to: Users who were shown patients' data.
        revoked: Users of whom a revocation was enforced.
    """

    records: int
    shown_to: frozenset[str]
    revoked: frozenset[str]


def audited(folder: Path) -> Audited:
    """Verify the log of a folder and return what it shows.

    Raises:
        StoryError: If the chain is broken.
    """
    found = verify(folder, None)
    if found.broken is not None:
        raise StoryError(f"the audit log is broken: {found.broken}")
    events = list(_events(folder))
    return Audited(found.records, _agents(events, "R"), _agents(events, "U"))


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    for path in segment_paths(folder):
        for line in path.read_bytes().splitlines():
            yield msgspec.json.decode(line)["event"]


def _agents(events: list[dict[str, Any]], action: str) -> frozenset[str]:
    return frozenset(
        agent["who"]["identifier"]["value"] for event in events if event["action"] == action for agent in event["agent"]
    )
