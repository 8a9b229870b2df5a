"""Operations on what follows from events: the activity feed and notifications."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from bayeux_server.server.clock import Clock
from channels.activity import Activity, in_words_for
from channels.policy import view_team
from channels.services.caller import Caller, NewId, Reply
from channels.services.errors import NotFoundError
from channels.services.idempotency import Once
from channels.services.pages import page, place_of
from channels.services.presenter import Presenter, document_of
from channels.services.walking import Visible, walk
from channels.stores.port import CareStore, ReplyExistsError
from channels.stores.records import Below, Commit
from channels.timestamps import iso_utc_ms
from channels.views import View

_PAGE: Final = 50


class Feeds:
    """Shows feeds. Every method takes a body that has passed its schema."""

    def __init__(self, store: CareStore, presenter: Presenter, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._presenter = presenter
        self._clock = clock
        self._new_id = new_id

    async def activity(self, caller: Caller, body: Mapping[str, Any], _key: str | None) -> Reply:
        """Return a page of a team's feed, the newest first (``body.activity.list``).

        Raises:
            NotFoundError: If the caller is not of the team.
            InvalidBodyError: If ``before`` is no cursor of ours.
        """
        if not await self._presenter.permits(caller, view_team(body["team_id"])):
            raise NotFoundError
        limit = body.get("limit", _PAGE)
        visible = await self._visible(caller, body, limit + 1)
        more = Below(visible[limit - 1][0].id) if len(visible) > limit else None
        viewed = [(view, document) for _, view, document in visible[:limit]]
        return Reply(200, page(await self._presenter.shown_as(caller, "activity", viewed), more))

    async def _visible(self, caller: Caller, body: Mapping[str, Any], wanted: int) -> Sequence[Visible[Activity]]:
        before = _before(body, "body.activity.list")

        async def read(last: Activity | None, limit: int) -> Sequence[Activity]:
            below = before if last is None else last.id
            return await self._store.activity(body["team_id"], types=body.get("type", ()), before=below, limit=limit)

        async def see(entries: Sequence[Activity]) -> Sequence[Visible[Activity]]:
            documents = [in_words_for(caller.user.user_id, document_of(each)) for each in entries]
            views = await self._presenter.views(caller, "activity", documents)
            return [each for each in zip(entries, views, documents, strict=True) if each[1] is not View.HIDDEN]

        return await walk(read, see, wanted)

    async def notifications(self, caller: Caller, body: Mapping[str, Any], _key: str | None) -> Reply:
        """Return a page of the caller's notifications, the newest first, and how many are unread.

        Raises:
            InvalidBodyError: If ``before`` is no cursor of ours.
        """
        limit = body.get("limit", _PAGE)
        found = await self._store.notifications(
            caller.user.user_id,
            unread=body.get("unread", False),
            before=_before(body, "body.notification.list"),
            limit=limit,
        )
        documents = [document_of(each) for each in found]
        shown = await self._presenter.shown(caller, "notification", documents)
        more = Below(found[-1].notification_id) if len(found) == limit else None
        unread = await self._store.unread_count(caller.user.user_id)
        return Reply(200, {**page(shown, more), "unread_count": unread})

    async def read(self, caller: Caller, body: Mapping[str, Any], key: str | None) -> Reply:
        """Mark the caller's notifications read, some or all (``body.notification.read``); their tabs are told."""
        once = Once("notification.read", caller, body, key)
        if stored := await once.answered(self._store):
            return Reply(stored.status, msgspec.json.decode(stored.body))
        at = iso_utc_ms(self._clock.wall())
        event = await self._store.mark_read(
            caller.user.user_id, body.get("notification_ids"), event_id=self._new_id("read"), at=at
        )
        answer = {"unread_count": event.unread_count}
        if reply := once.reply(200, answer, at):
            # Not with the effect: to mark read what is read changes nothing.
            with contextlib.suppress(ReplyExistsError):
                await self._store.commit(Commit(reply=reply))
        return Reply(200, answer)


def _before(body: Mapping[str, Any], schema: str) -> str | None:
    cursor = body.get("before")
    return place_of(cursor, Below, schema=schema, field="before").entry_id if cursor else None
