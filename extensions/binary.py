"""Binary data in JSON: ``data`` is ``{"data": Z85 text, "last": bool, "meta": {}}`` and ``ext.binary`` says so.

Nothing of a publisher's ``ext`` reaches subscribers; this is the one field that has to, or they would not know that the
text is binary. So it is checked, and made anew. ``data`` stays as it is, byte for byte, or is refused.

Source: CometD's reference, "Binary extension".
"""

import re
from typing import Any, Final

import msgspec

from bayeux_server.errors import RemoteError
from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.messages import Publish
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from extensions.sections import NoKeys

#: Source: ZeroMQ RFC 32, "Z85".
ALPHABET: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

_NO_DIGIT: Final = 255
_DIGITS: Final = bytes(ALPHABET.find(code) if code in ALPHABET else _NO_DIGIT for code in range(256))
#: 2^32 - 1 in base 85: more does not fit into four bytes.
_GREATEST: Final = bytes((82, 23, 54, 12, 0))
_MAY_BE_TOO_GREAT: Final = re.compile(rb"[\x52-\x54]")


class _Payload(msgspec.Struct, frozen=True):
    data: str
    last: bool = True
    meta: dict[str, Any] | None = None


_decode: Final = msgspec.json.Decoder(_Payload).decode


class Binary(Extension):
    """Lets checked binary publications keep their mark."""

    name = "binary"

    def incoming(self, session: ServerSession | None, message: Publish) -> None:
        """See :meth:`Extension.incoming`.

        Raises:
            RemoteError: 402 naming the field, if the message says it is binary and is not.
        """
        if not message.ext or "binary" not in message.ext:
            return
        if not isinstance(message.ext["binary"], dict):
            raise RemoteError(402, ["ext.binary"], "must be an object")
        try:
            payload = _decode(message.data)
        except msgspec.ValidationError:
            raise RemoteError(402, ["data"], "must be an object with data, last and meta") from None
        if not is_z85(payload.data):
            raise RemoteError(402, ["data.data"], "must be Z85")
        message.made_ext = {**(message.made_ext or {}), "binary": {}}


def is_z85(text: str) -> bool:
    """Return whether a text is Z85, padded as CometD does: one to three bytes over make two to four characters."""
    try:
        digits = text.encode("ascii").translate(_DIGITS)
    except UnicodeEncodeError:
        return False
    if len(digits) % 5 == 1 or _NO_DIGIT in digits:
        return False
    # Only groups whose first digit is 82 or more can be too great; looking at these alone spares a loop over all.
    suspects = (match.start() * 5 for match in _MAY_BE_TOO_GREAT.finditer(digits[::5]))
    return all(digits[start : start + 5].ljust(5, b"\x54") <= _GREATEST for start in suspects)


def create(context: ExtensionContext) -> Binary:
    """Return the extension. Its section has no keys."""
    context.read_config(NoKeys)
    return Binary()
