"""What was shown is not shown again."""

from extensions.careflow.seen import Moment, Seen

TASK, LIST = "/task/1", "/task_list/assigned_to/cc_1"


class TestSeen:
    def test_an_event_is_fresh_until_it_was_shown(self) -> None:
        seen = Seen(10)
        assert seen.fresh("e1", None, [TASK]) == (TASK,)
        seen.shown("e1", None, TASK)
        assert seen.fresh("e1", None, [TASK]) == ()

    def test_after_a_failure_between_channels_only_the_rest_is_fresh(self) -> None:
        seen = Seen(10)
        seen.shown("e1", Moment("1", 4), TASK)
        assert seen.fresh("e1", Moment("1", 4), [TASK, LIST]) == (LIST,)

    def test_a_version_that_is_not_above_the_last_is_not_fresh(self) -> None:
        seen = Seen(10)
        seen.shown("e5", Moment("1", 5), TASK)
        assert seen.fresh("other_e5", Moment("1", 5), [TASK]) == ()
        assert seen.fresh("e4", Moment("1", 4), [TASK]) == ()
        assert seen.fresh("e6", Moment("1", 6), [TASK]) == (TASK,)

    def test_a_late_event_still_reaches_the_list_that_saw_nothing_newer(self) -> None:
        """The old assignee's list is not on the road of later versions: it must hear of the reassignment."""
        seen = Seen(10)
        seen.shown("e3", Moment("1", 3), TASK)
        assert seen.fresh("e2", Moment("1", 2), [TASK, LIST]) == (LIST,)

    def test_versions_of_different_tasks_do_not_meet(self) -> None:
        seen = Seen(10)
        seen.shown("e5", Moment("1", 5), "/task_list/team/t")
        assert seen.fresh("e1", Moment("2", 1), ["/task_list/team/t"]) == ("/task_list/team/t",)

    def test_no_more_than_the_limit_is_remembered(self) -> None:
        seen = Seen(2)
        for number in range(3):
            seen.shown(f"e{number}", None, TASK)
        assert [bool(seen.fresh(f"e{number}", None, [TASK])) for number in range(3)] == [True, False, False]
