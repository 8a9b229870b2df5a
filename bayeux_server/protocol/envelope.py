"""The outside of a message, before its kind is known."""

import msgspec
from msgspec import UNSET, Raw, UnsetType


class Envelope(msgspec.Struct, gc=False):
    """The fields of any message. What only one kind of message has stays raw until that kind is known."""

    channel: str | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    clientId: str | UnsetType | None = UNSET  # noqa: N815
    data: Raw | UnsetType = UNSET
    connectionType: Raw | UnsetType = UNSET  # noqa: N815
    subscription: Raw | UnsetType = UNSET
    advice: Raw | UnsetType = UNSET
    ext: Raw | UnsetType = UNSET
    version: Raw | UnsetType = UNSET
    minimumVersion: Raw | UnsetType = UNSET  # noqa: N815
    supportedConnectionTypes: Raw | UnsetType = UNSET  # noqa: N815


class LooseEnvelope(msgspec.Struct, gc=False):
    """What can still be echoed of a message whose envelope has a field of the wrong type."""

    channel: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    clientId: Raw | UnsetType = UNSET  # noqa: N815
    subscription: Raw | UnsetType = UNSET
