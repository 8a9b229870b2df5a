"""What each kind of message does, one file per Bayeux message.

A handler raises :class:`RemoteError` to refuse, and :class:`Overloaded` to shed load; everything else it raises is our
fault and becomes a 500.

What a handshake, a subscribe and an unsubscribe did is settled only when the extensions have completed the reply, for
they may still refuse it: see :data:`Settle`.
"""

from collections.abc import Callable

#: Called once the reply is complete, with whether it is still a success: keeps what was done or takes it back, so that
#: what the reply says is what is true.
Settle = Callable[[bool], object]
