"""Half a surrogate pair, escaped: JSON to browsers, a malformed text to the decoder."""

import re
from typing import Final, NamedTuple

#: An escaped backslash, a proper pair, or a lone half; only the last is without a group.
_SURROGATES: Final = re.compile(
    rb"(\\\\)|(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_NONCHARACTERS: Final = tuple(b"\\ufd%02x" % low for low in range(0xD0, 0xF0))


class Marked(NamedTuple):
    """A text whose lone surrogates are ``mark`` now."""

    body: bytes
    mark: bytes


def mark_lone_surrogates(body: bytes) -> Marked | None:
    r"""Return the body with each lone ``\ud800`` escape made a mark, None if it has none.

    Such text is JSON to browsers, but msgspec refuses the whole batch for it. Marked, the batch can be read, and only
    the message that has the mark is refused.
    """
    mark = next((mark for mark in _NONCHARACTERS if mark not in body.lower()), None)
    if mark is None:
        return None
    marked, count = _SURROGATES.subn(lambda match: match[0] if match[1] or match[2] else mark, body)
    return Marked(marked, mark) if count and marked != body else None
