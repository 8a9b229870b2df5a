"""Which of some teams a user works in, as the permission checker knows it."""

from collections.abc import Collection

from aiohttp import web

from channels.policy import view_team
from extensions.authorization import DECISIONS


class TeamsOf:
    """Asks whatever authorization the application has when it is first needed."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    async def __call__(self, user_id: str, teams: Collection[str]) -> frozenset[str]:
        """Return those of ``teams`` that a user works in; none where there is no authorization, or no answer."""
        decisions = self._app.get(DECISIONS)
        if decisions is None or not teams:
            return frozenset()
        asked = sorted(teams)
        answers = await decisions.answers([(user_id, *view_team(team)) for team in asked])
        return frozenset(team for team, works_there in zip(asked, answers, strict=True) if works_there)
