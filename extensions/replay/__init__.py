"""Events have an id, and whoever comes back asks for what he missed. Salesforce's format, understood by its clients.

* Handshake reply: ``ext.replay: true``.
* Subscribe: ``ext.replay: {"/channel": id}``: the last id seen, -1 for new events only, -2 for all that is kept. A
  pattern takes -1 and -2; the ids of the channels below it are given beside it, under their own names.
* Reply to a subscribe that asked: ``ext.replay: {"gap": ["/channel", ...]}``, the channels of which something between
  the id and now is lost, or whose id is unknown; they get all that is kept. So it is also answered while the history is
  away; what it has is told when it is back.
* Event: ``ext.replay: {"id": n}``, and ``"gap": true`` in the first one after a gap. Ids rise within their channel and
  count nothing; see :class:`bayeux_server.ports.History`.
* On the channels of ``replay_id_channels`` an object payload gets ``event.replayId``, where Salesforce's clients look.

What is kept is what was published; who sees what of it is decided when it is told again.
"""

from extensions.replay.extension import Replay, create

__all__ = ["Replay", "create"]
