"""What the sections ``[extensions.NAME]`` of the configuration have in common."""

from typing import Annotated

import msgspec
from msgspec import Meta

#: Anything from one up.
Count = Annotated[int, Meta(ge=1)]
Bytes = Annotated[int, Meta(ge=1)]
Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]


class NoKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section without keys: its presence turns the extension on."""
