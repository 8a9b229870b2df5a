"""The care layer's front: every operation by its name, for HTTP and remote calls alike."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from bayeux_server.server.clock import Clock
from channels.locks.guard import LockGuard
from channels.schema import SchemaViolationError, check
from channels.services.caller import (
    Caller,
    ConflictObserver,
    Disclosures,
    NewId,
    Operation,
    Permissions,
    Reply,
    SignsOfLife,
    Unobserved,
    random_id,
)
from channels.services.errors import InvalidBodyError
from channels.services.feeds import Feeds
from channels.services.presenter import Presenter
from channels.services.subjects import Subjects
from channels.services.task_reading import TaskReading
from channels.services.tasks import TaskChanging
from channels.stores.port import CareStore

_UNOBSERVED: Final = Unobserved()


class Ports(NamedTuple):
    """What the operations need of others.

    Attributes:
        permissions: Who may what.
        locks: Asked before every write of a task.
        disclosures: Hears of PHI that is shown.
        conflicts: Counts them.
        presence: Is told of calls about tasks.
        new_id: Makes ids.
    """

    store: CareStore
    permissions: Permissions
    locks: LockGuard
    clock: Clock
    disclosures: Disclosures = _UNOBSERVED
    conflicts: ConflictObserver = _UNOBSERVED
    presence: SignsOfLife = _UNOBSERVED
    new_id: NewId = random_id


class CareService:
    """Runs operations. A face turns its request into a name and a body, and the reply or error into its own form.

    Args:
        ports: See :class:`Ports`.
    """

    def __init__(self, ports: Ports) -> None:
        presenter = Presenter(ports.permissions, ports.disclosures)
        changing = TaskChanging(ports.store, presenter, ports.locks, ports.clock, ports.new_id, ports.conflicts)
        reading = TaskReading(ports.store, presenter)
        subjects = Subjects(ports.store, presenter, ports.clock, ports.new_id)
        feeds = Feeds(ports.store, presenter, ports.clock, ports.new_id)
        self._presence = ports.presence
        self._relations = ports.store.signals.relations
        #: Name of each operation to what runs it. Its body's schema is ``body.`` and the name.
        self.operations: Final[Mapping[str, Operation]] = {
            "task.create": changing.create,
            "task.get": reading.get,
            "task.list": reading.list,
            "task.update": changing.update,
            "task.assign": changing.assign,
            "task.complete": changing.complete,
            "task.delete": changing.delete,
            "task.versions": reading.versions,
            "member.create": subjects.create_member,
            "member.get": subjects.get_member,
            "member.update": subjects.update_member,
            "member.note": subjects.note_member,
            "member.contact": subjects.contact_member,
            "service_request.create": subjects.create_service_request,
            "service_request.get": subjects.get_service_request,
            "service_request.update": subjects.update_service_request,
            "service_request.note": subjects.note_service_request,
            "activity.list": feeds.activity,
            "notification.list": feeds.notifications,
            "notification.read": feeds.read,
        }

    async def call(self, operation: str, caller: Caller, body: object, key: str | None = None) -> Reply:
        """Run one operation.

        Args:
            operation: One of :attr:`operations`.
            caller: Verified by the face.
            body: Decoded JSON. What a URL or header carries (``task_id``, ``version``) is put into it by the face.
            key: The idempotency key, for operations that change something.

        Raises:
            CareError: If it is refused; status and body are the answer.
            KeyError: If there is no such operation.
            OSError: If the store cannot be reached: 503.
        """
        run = self.operations[operation]
        try:
            check(f"body.{operation}", body)
        except SchemaViolationError as violation:
            raise InvalidBodyError.of(violation) from violation
        fields = msgspec.convert(body, dict[str, Any])
        if caller.session is not None and "task_id" in fields:
            self._presence.renew(caller.session, caller.user.user_id, fields["task_id"])
        reply = await run(caller, fields, key)
        # Callers may read what they wrote: the rights that follow from it are known before they are answered.
        await self._relations.taken_in()
        return reply
