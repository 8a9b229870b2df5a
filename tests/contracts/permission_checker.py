"""What every :class:`PermissionChecker` must do, over the packaged schema."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from channels.relations import RelationChange
from extensions.authorization.ports import Check, CheckerUnavailableError, PermissionChecker
from tests.support.relations import RecordingWatcher, delete, touch

CLINIC = touch(
    "team:north#care_coordinator@user:sarah",
    "team:north#clinician@user:chen",
    "team:north#rsa@user:rita",
    "member:A1#team@team:north",
    "member:A1#care_team@user:omar",
    "task:1#team@team:north",
    "task:1#member@member:A1",
    "task:2#assignee@user:rita",
    "task:2#member@member:A1",
)


class Rig:
    """A checker with what a test needs around it."""

    def __init__(
        self, checker: PermissionChecker, write: Callable[[Sequence[RelationChange]], Awaitable[object]]
    ) -> None:
        self.checker = checker
        self.write = write
        self.watcher = RecordingWatcher()

    async def allowed(self, *checks: Check) -> list[bool]:
        """Ask as of everything that was heard of."""
        return await self.checker.check_bulk(checks, at_least=self.watcher.token)

    async def written(self, changes: Sequence[RelationChange]) -> None:
        """Write, and wait until the change was heard of."""
        objects = {(change.relation.object_type, change.relation.object_id) for change in changes}
        self.watcher.objects.clear()
        await self.write(changes)
        await self.watcher.until(lambda watcher: objects <= watcher.objects)


class PermissionCheckerContract:
    """Subclasses name the adapter in a fixture ``rig`` that is not started."""

    @pytest.fixture
    async def clinic(self, rig: Rig) -> AsyncIterator[Rig]:
        """A started checker that knows a small clinic."""
        await rig.checker.start(rig.watcher)
        await rig.watcher.until(lambda watcher: watcher.alive)
        await rig.written(CLINIC)
        yield rig
        await rig.checker.stop()

    async def test_staff_see_their_teams_tasks_and_patients_each_by_role(self, clinic: Rig) -> None:
        questions = [
            Check(user, permission, *thing)
            for user in ("sarah", "chen", "rita", "omar", "stranger")
            for permission, *thing in (("view", "task", "1"), ("edit", "task", "1"), ("view_phi", "member", "A1"))
        ]
        answers = await clinic.allowed(*questions)
        yes = {(each.user_id, each.permission) for each, answer in zip(questions, answers, strict=True) if answer}
        assert yes == {
            *((user, permission) for user in ("sarah", "chen", "omar") for permission in ("view", "edit", "view_phi")),
            ("rita", "view"),
        }

    async def test_an_assignee_edits_but_sees_no_more_of_the_patient(self, clinic: Rig) -> None:
        assert await clinic.allowed(
            Check("rita", "edit", "task", "2"),
            Check("rita", "view_phi", "task", "2"),
            Check("omar", "view", "task", "2"),
        ) == [True, False, True]

    async def test_answers_come_in_order_however_many(self, clinic: Rig) -> None:
        questions = [Check("sarah" if n % 3 else "stranger", "view", "task", "1") for n in range(450)]
        assert await clinic.allowed(*questions) == [bool(n % 3) for n in range(450)]
        assert await clinic.allowed() == []

    async def test_who_asks_beside_others_is_answered_as_alone(self, clinic: Rig) -> None:
        questions = [
            Check(user, permission, "task", number)
            for permission in ("view", "edit", "view_phi")
            for user in ("sarah", "chen", "rita", "omar", "stranger")
            for number in ("1", "2")
        ]
        alone = [(await clinic.allowed(question))[0] for question in questions]
        assert await clinic.allowed(*questions) == alone
        assert len({*alone}) == 2

    async def test_what_is_unknown_is_a_no(self, clinic: Rig) -> None:
        assert await clinic.allowed(
            Check("sarah", "view", "task", "99"),
            Check("sarah", "destroy", "task", "1"),
            Check("sarah", "view", "moon", "1"),
        ) == [False, False, False]

    async def test_ids_may_have_any_character(self, clinic: Rig) -> None:
        await clinic.written(touch("task:t(1) é=3D#assignee@user:auth0|josé.núñez+x y"))
        assert await clinic.allowed(
            Check("auth0|josé.núñez+x y", "view", "task", "t(1) é=3D"),
            Check("auth0|josé.núñez+x", "view", "task", "t(1) é=3D"),
        ) == [True, False]

    async def test_a_revoked_relation_gives_nothing_as_soon_as_it_was_heard_of(self, clinic: Rig) -> None:
        await clinic.written(delete("member:A1#care_team@user:omar"))
        assert await clinic.allowed(Check("omar", "view_phi", "member", "A1")) == [False]

    async def test_a_change_names_the_objects_and_the_types_it_touches(self, clinic: Rig) -> None:
        clinic.watcher.types.clear()
        await clinic.written(touch("task:3#assignee@user:omar"))
        assert clinic.watcher.types == set()
        await clinic.written(touch("team:north#rsa@user:omar"))
        assert ("team", "north") in clinic.watcher.objects
        assert clinic.watcher.types == {"member", "task"}

    async def test_it_is_ready_while_it_can_answer_and_refuses_afterwards(self, rig: Rig) -> None:
        assert rig.checker.unready()
        await rig.checker.start(rig.watcher)
        await rig.watcher.until(lambda watcher: watcher.alive)
        assert rig.checker.unready() is None
        await rig.checker.stop()
        assert rig.checker.unready()
        with pytest.raises(CheckerUnavailableError):
            await rig.checker.check_bulk([Check("sarah", "view", "task", "1")])
