"""The operations that read tasks: get, list, versions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Final

import msgspec

from channels.policy import view_phi
from channels.services.caller import Caller, Reply
from channels.services.errors import NotFoundError
from channels.services.pages import no_cursor, page, place_of
from channels.services.presenter import Presenter, document_of
from channels.services.walking import Visible, walk
from channels.stores.port import CareStore
from channels.stores.queries import sort_value
from channels.stores.records import After, TaskQuery
from channels.tasks.model import Task, TaskStatus
from channels.views import View

_PAGE: Final = 50
#: Of the values that cursors carry, where it is no text: see :func:`_after`.
_VALUE_TYPES: Final[Mapping[str, type | UnionType]] = {"priority": int, "title": str | None}
_SEEN: Final = frozenset({View.REDACTED, View.FULL})


class TaskReading:
    """Shows tasks to callers, redacted as needed. Every method takes a body that has passed its schema."""

    def __init__(self, store: CareStore, presenter: Presenter) -> None:
        self._store = store
        self._presenter = presenter

    async def get(self, caller: Caller, body: Mapping[str, Any], _key: str | None) -> Reply:
        """Return one task (``body.task.get``).

        Raises:
            NotFoundError: If there is none, it was deleted, or the caller may not see it.
        """
        task = await self._store.task(body["task_id"])
        if task is None or task.status is TaskStatus.DELETED:
            raise NotFoundError
        [seen] = await self._presenter.shown(caller, "task", [document_of(task)])
        if seen is None:
            raise NotFoundError
        return Reply(200, seen, task.version)

    async def list(self, caller: Caller, body: Mapping[str, Any], _key: str | None) -> Reply:
        """Return a page of the tasks that the caller may see (``body.task.list``).

        What they may not see leaves no trace: a page is filled from what follows, and its cursor names a task on it. In
        order of title come the tasks whose title they see; the others follow in the order of their creation, for a
        place among titles tells of a title.

        Raises:
            InvalidBodyError: If the cursor is none of ours, or names a task that the caller may not see any more.
        """
        query = _query_of(body)
        if query.after is not None and not await self._saw(caller, query.sort, query.after):
            raise no_cursor("body.task.list", "cursor")
        if query.member_id is not None and not await self._presenter.permits(caller, view_phi(query.member_id)):
            # Which tasks are a member's is PHI even when each of them is shown without saying so.
            return Reply(200, page([], None))
        visible = await self._visible(caller, query)
        on_page = visible[: query.limit]
        more = _after(query, *on_page[-1][:2]) if len(visible) > query.limit else None
        shown = await self._presenter.shown_as(caller, "task", [(view, document) for _, view, document in on_page])
        return Reply(200, page(shown, more))

    async def _saw(self, caller: Caller, sort: str, after: After) -> bool:
        """Say whether a page that ended there can have been the caller's: a cursor made up asks about any task."""
        task = await self._store.task(after.task_id)
        if task is None:
            return False
        [view] = await self._presenter.views(caller, "task", [document_of(task)])
        return view is View.FULL if _is_among_titles(sort, after) else view is not View.HIDDEN

    async def _visible(self, caller: Caller, query: TaskQuery) -> Sequence[Visible[Task]]:
        """Return what of a query the caller may see, up to one more than fits on the page."""
        found: list[Visible[Task]] = []
        for part, views in _parts(query):
            wanted = query.limit + 1 - len(found)
            if wanted:
                found += await self._walk(caller, part, views, wanted)
        return found

    async def _walk(
        self, caller: Caller, query: TaskQuery, views: Collection[View], wanted: int
    ) -> Sequence[Visible[Task]]:
        async def read(last: Task | None, limit: int) -> Sequence[Task]:
            after = query.after if last is None else _after(query, last)
            return await self._store.tasks(msgspec.structs.replace(query, after=after, limit=limit))

        async def see(tasks: Sequence[Task]) -> Sequence[Visible[Task]]:
            documents = [document_of(task) for task in tasks]
            seen = await self._presenter.views(caller, "task", documents)
            return [each for each in zip(tasks, seen, documents, strict=True) if each[1] in views]

        return await walk(read, see, wanted)

    async def versions(self, caller: Caller, body: Mapping[str, Any], _key: str | None) -> Reply:
        """Return versions of a task, the newest first (``body.task.versions``).

        Raises:
            NotFoundError: If there is no such task or the caller may not see it.
        """
        found = await self._store.task_versions(
            body["task_id"], before=body.get("before"), limit=body.get("limit", _PAGE)
        )
        if not found and await self._store.task(body["task_id"]) is None:
            raise NotFoundError
        shown = await self._presenter.shown(caller, "task_version", [document_of(each) for each in found])
        items = [document for document in shown if document is not None]
        if found and not items:
            raise NotFoundError
        return Reply(200, {"items": items})


def _query_of(body: Mapping[str, Any]) -> TaskQuery:
    plain = {name: value for name, value in body.items() if name != "cursor"}
    query = msgspec.convert(plain, TaskQuery)
    if not body.get("cursor"):
        return query
    after = place_of(body["cursor"], After, schema="body.task.list", field="cursor")
    if not isinstance(after.value, _VALUE_TYPES.get(query.sort, str)):
        raise no_cursor("body.task.list", "cursor")
    return msgspec.structs.replace(query, after=after)


def _parts(query: TaskQuery) -> Iterator[tuple[TaskQuery, Collection[View]]]:
    """Yield the queries whose tasks make up a list, one after the other, and in which views they are on it."""
    if query.sort != "title":
        yield query, _SEEN
        return
    others, after = msgspec.structs.replace(query, sort="created_at"), query.after
    if after is None or _is_among_titles(query.sort, after):
        yield query, (View.FULL,)
        others = msgspec.structs.replace(others, after=None)
    yield others, (View.REDACTED,)


def _after(query: TaskQuery, task: Task, view: View = View.FULL) -> After:
    """Return the place of a task on a list; of one sorted by title it says no title, and none for the others' part."""
    if query.sort == "title" and view is not View.FULL:
        return After(task.id, task.created_at)
    return After(task.id, sort_value(query, task))


def _is_among_titles(sort: str, after: After) -> bool:
    return sort == "title" and after.value is None
