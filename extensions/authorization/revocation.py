"""What happens when somebody loses a permission: subscriptions end, and what was queued for them is cut.

The session itself, and nobody else, is told on ``/service/subscriptions`` which of its subscriptions ended:
``{"type": "subscription.revoked", "event_id", "timestamp", "subscriptions": ["/task/task_031"]}``. These are names that
it sent itself; why they ended, and what became of the thing they name, is not said.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from uuid import uuid4

import msgspec
import structlog

from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import Publication, Subscribe
from bayeux_server.server.bayeux_server import BayeuxServer
from bayeux_server.server.delivery import Delivery
from bayeux_server.server.session import ServerSession
from channels.policy import CARE_ROOTS, to_subscribe
from channels.timestamps import iso_utc_ms
from channels.views import View, redact, view_of, without_phi
from extensions.authorization.decisions import Decisions
from extensions.authorization.ports import Check
from extensions.authorization.security import principal_of
from extensions.authorization.views import ASKED, needs_of

log = structlog.get_logger()

CHANNEL: Final = "/service/subscriptions"

#: Called with user, object type and object id of a revocation that had something to enforce.
OnEnforced = Callable[[str, str, str], None]


class Revocations:
    """Watches over the subscriptions of care channels and over what waits in the queues of their sessions."""

    def __init__(self, server: BayeuxServer, on_enforced: OnEnforced = lambda *_: None) -> None:
        self._server = server
        self.on_enforced = on_enforced
        self._held: dict[ServerSession, dict[str, Check]] = {}
        self.decisions: Decisions | None = None

    def subscribed(self, session: ServerSession, channel: ChannelId, _message: Subscribe | None) -> None:
        """Hold the permission that a subscription rests on."""
        need, principal = to_subscribe(channel), principal_of(session)
        if need is None or need.permission not in ASKED or principal is None or principal.is_system:
            return
        held = self._held.setdefault(session, {})
        if channel.name not in held and self.decisions is not None:
            check = held[channel.name] = Check(principal.user_id, *need)
            self.decisions.hold(check)

    def unsubscribed(self, session: ServerSession, channel: ChannelId, _message: object = None) -> None:
        """Let it go with the subscription."""
        held = self._held.get(session, {})
        check = held.pop(channel.name, None)
        if check is not None and self.decisions is not None:
            self.decisions.release(check)
        if not held:
            self._held.pop(session, None)

    def revoked(self, user_id: str, object_type: str, object_id: str) -> None:
        """End the subscriptions that rested on a permission on this object, and cut what it showed."""
        enforced = False
        for session in self._server.core.sessions.of_user(user_id):
            lost = [
                name for name, check in self._held.get(session, {}).items() if check[2:] == (object_type, object_id)
            ]
            for name in lost:
                self._server.unsubscribe(session, name)
            session.cut(partial(self._is_cut, session, (object_type, object_id)))
            if lost:
                log.info("subscription.revoked", session=session.short_id, subscriptions=len(lost))
                self._tell(session, lost)
            enforced = True
        if enforced:
            self.on_enforced(user_id, object_type, object_id)

    def _tell(self, session: ServerSession, lost: Sequence[str]) -> None:
        event = {
            "type": "subscription.revoked",
            "event_id": f"subscription_{uuid4().hex}",
            "timestamp": iso_utc_ms(self._server.core.clock.wall()),
            "subscriptions": lost,
        }
        channel = self._server.core.grammar.parse(CHANNEL)
        session.deliver(Delivery(Publication(channel, msgspec.json.encode(event))))

    def _is_cut(self, session: ServerSession, lost: tuple[str, str], delivery: Delivery) -> bool:
        """Whether a delivery that waits, or that may be sent again, shows more than is allowed without what was lost.

        What depends on other permissions is as it was judged when it came.
        """
        if delivery.channel.segments[0] not in CARE_ROOTS or self.decisions is None:
            return False
        read = needs_of(Publication(delivery.channel, delivery.data))
        if read is None:
            return True
        payload, needs = read
        if redact(str(payload.get("type")), payload) == payload:
            needs = without_phi(needs)
        if not any(need[1:] == lost for need in (*needs.visible, *needs.full)):
            return False
        return view_of(principal_of(session), needs, self.decisions.decide) is not View.FULL
