"""The event that tells a user's tabs what was read, as every adapter writes it."""

from collections.abc import Collection

from msgspec import UNSET

from channels.notifications import READ, NotificationsRead
from channels.stores.records import Outgoing
from channels.stores.rows import json_text


def notifications_read(
    user_id: str, notification_ids: Collection[str] | None, unread_count: int, *, event_id: str, at: str
) -> NotificationsRead:
    """Return the event; ``notification_ids`` are those that were unread until now, None for all."""
    return NotificationsRead(
        event_id=event_id,
        user_id=user_id,
        unread_count=unread_count,
        timestamp=at,
        notification_ids=UNSET if notification_ids is None else tuple(notification_ids),
    )


def outgoing(event: NotificationsRead) -> Outgoing:
    """Return the event as the outbox takes it; one user's events leave in order."""
    return Outgoing(
        event_id=event.event_id,
        type=READ,
        key=event.user_id,
        payload=json_text(event),
        created_at=event.timestamp,
    )
