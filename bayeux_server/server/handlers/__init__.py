"""What each kind of message does, one file per Bayeux message.

A handler raises :class:`RemoteError` to refuse, and :class:`Overloaded` to shed load; everything else it raises is our
fault and becomes a 500.
"""
