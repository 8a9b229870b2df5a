"""Who a session is."""

from typing import Any

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """Who a session is, as authentication found.

    Attributes:
        user_id: The subject, unique within its issuer.
        roles: Names that the channel rules speak of.
        expires_at_s: Epoch seconds at which the session ends unless refreshed, None for never.
        claims: Whatever else the credential said.
    """

    user_id: str
    roles: frozenset[str] = frozenset()
    expires_at_s: float | None = None
    claims: dict[str, Any] = {}
