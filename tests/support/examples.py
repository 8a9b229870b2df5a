"""How many examples a property is tried with."""

import os

#: ``make test-fast`` tries fewer, by this variable: a share of those that a full run tries.
_SHARE = float(os.environ.get("TEST_EXAMPLES_SHARE", "1"))


def examples(count: int) -> int:
    """Return how many of ``count`` examples this run tries."""
    return max(1, round(count * _SHARE))
