"""Doing once what was asked twice."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from channels.services.caller import Caller
from channels.services.errors import KeyReusedError
from channels.stores.port import CareStore
from channels.stores.records import StoredReply
from channels.stores.rows import json_text


class Once:
    """One request under an idempotency key.

    Args:
        operation: What is asked, such as ``task.update``.
        key: The client's; None if it sent none, and then nothing is remembered.
    """

    def __init__(self, operation: str, caller: Caller, body: Mapping[str, Any], key: str | None) -> None:
        self._actor = caller.user.user_id
        self._key = key
        self._hash = sha256(msgspec.json.encode([operation, body], order="deterministic")).hexdigest()

    async def answered(self, store: CareStore) -> StoredReply | None:
        """Return what the same request was answered before.

        Raises:
            KeyReusedError: If the key was used for another request.
        """
        stored = None if self._key is None else await store.reply(self._actor, self._key)
        if stored is not None and stored.body_hash != self._hash:
            raise KeyReusedError
        return stored

    def reply(self, status: int, body: object, at: str) -> StoredReply | None:
        """Return what to remember, to be written with the effect; None without a key."""
        if self._key is None:
            return None
        return StoredReply(
            actor=self._actor,
            key=self._key,
            body_hash=self._hash,
            status=status,
            body=json_text(body),
            stored_at=at,
        )
