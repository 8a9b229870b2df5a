"""The channels of the Care App as one coordinator uses them."""

from dataclasses import dataclass

COORDINATORS_PER_TEAM = 10


@dataclass(frozen=True, slots=True)
class Desk:
    """The channels of one coordinator; the Care App's, below a prefix."""

    base: str
    number: int
    tasks: int

    @property
    def team(self) -> int:
        """Number of the coordinator's team."""
        return self.number // COORDINATORS_PER_TEAM

    @property
    def lists(self) -> tuple[str, ...]:
        """What stays subscribed all day."""
        return (
            f"{self.base}/task_list/assigned_to/{self.number}",
            self.team_list,
            self.activity_feed,
            f"{self.base}/notifications/{self.number}",
        )

    @property
    def team_list(self) -> str:
        """Where a saved task of the team is told."""
        return f"{self.base}/task_list/team/{self.team}"

    @property
    def activity_feed(self) -> str:
        """Where a saved task is told as activity."""
        return f"{self.base}/activity_feed/{self.team}"

    def task(self, number: int) -> tuple[str, str]:
        """Return the channels of one of the team's tasks: the task, and who is on it."""
        task = f"{self.base}/task/{self.team}-{number}"
        return task, f"{task}/presence"

    def publishes(self, clients: int) -> tuple[str, ...]:
        """Return every channel that the coordinator publishes to in the day."""
        colleague = (self.number + 1) % clients
        tasks = [channel for number in range(self.tasks) for channel in self.task(number)]
        return (self.team_list, self.activity_feed, f"{self.base}/notifications/{colleague}", *tasks)
