"""A browser tab of a coordinator."""

from typing import Any

from benchmarks.care.world import Coordinator
from clients.load.fleet import Fleet
from clients.load.topology import Member
from clients.load.websocket_session import WebSocketSession


class Tab(WebSocketSession):
    """A session over a WebSocket that shakes hands with its coordinator's token."""

    def __init__(self, member: Member, fleet: Fleet, coordinator: Coordinator, token: str) -> None:
        super().__init__(member, fleet)
        self.coordinator = coordinator
        self.token = token

    @property
    def handshake_ext(self) -> dict[str, Any]:
        """See :attr:`Session.handshake_ext`."""
        return {"auth": {"token": self.token}}
