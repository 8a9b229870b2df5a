"""The one OpenAPI document of the server and of what extensions add to its HTTP interface."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bayeux_server import __version__

PATH: Final = "/api/openapi.json"

_DESCRIPTION: Final = (
    "A request refused as a whole is answered `error`, a code in capitals, and `message`, a sentence. So is one to an "
    "address that is not described here (404 `NOT_FOUND`), one with a method that the address does not take (405 "
    "`METHOD_NOT_ALLOWED`, with `Allow`), and one at which the server fails (500 `INTERNAL`)."
)


class OpenApi:
    """Collects paths and schemas, and serves them as OpenAPI 3.1 at ``/api/openapi.json``."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {
            "openapi": "3.1.0",
            "info": {"title": "Bayeux server", "version": __version__, "description": _DESCRIPTION},
            "paths": {},
            "components": {
                "schemas": {},
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            },
        }

    def add(self, paths: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
        """Add path items and component schemas. Names are shared by all: what is there already is replaced."""
        self.document["paths"].update(paths)
        self.document["components"]["schemas"].update(schemas)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [web.get(PATH, self.serve)]

    async def serve(self, _request: web.Request) -> web.Response:
        """The document."""
        return web.json_response(self.document)
