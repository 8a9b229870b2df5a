"""Tokens for the demo's people, without an identity provider: ``[extensions.demo_login]``, development only.

``GET /api/demo/people`` lists who there is, ``POST /api/demo/login`` with ``{"user_id"}`` answers a token. Its section
stands before ``authentication``, whose issuer takes the secret from the same environment variable.
"""

import os
import secrets
from typing import Final

import jwt
import msgspec
from aiohttp import web

from bayeux_server.host import ExtensionContext
from bayeux_server.server.extension import Extension
from bayeux_server.settings import SettingsError
from channels.demo_data import RITA, coordinators
from channels.tasks.model import User

ISSUER: Final = "care-demo"
AUDIENCE: Final = "care-app"
TOKEN_LIFE_S: Final = 12 * 3_600

#: Beside the coordinators of the demo: somebody without rights to PHI, and a back-end service.
OTHERS: Final = (
    RITA,
    User("careflow", "CareFlow Automation", "system"),
)


class DemoLoginConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.demo_login]``.

    Attributes:
        secret_env: Environment variable with the secret that signs; if it is empty, one is made for this process.
    """

    secret_env: str = "CARE_DEMO_SECRET"  # noqa: S105 - the name of a variable


class _Login(msgspec.Struct, forbid_unknown_fields=True):
    user_id: str


class DemoLogin(Extension):
    """Signs tokens for whoever asks."""

    name = "demo_login"

    def __init__(self, context: ExtensionContext, secret: str) -> None:
        self._clock = context.server.core.clock
        self._secret = secret
        self._people = {user.user_id: user for user in (*coordinators(), *OTHERS)}

    def token_of(self, user: User) -> str:
        """Return a token that names a user."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.user_id,
            "name": user.user_name,
            "roles": [user.user_role],
            "exp": int(self._clock.wall()) + TOKEN_LIFE_S,
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def routes(self) -> list[web.RouteDef]:
        """Return the routes to add to an application."""
        return [web.get("/api/demo/people", self.people), web.post("/api/demo/login", self.login)]

    async def people(self, _request: web.Request) -> web.Response:
        """List who can be logged in as."""
        return web.json_response({"items": msgspec.to_builtins(list(self._people.values()))})

    async def login(self, request: web.Request) -> web.Response:
        """Answer a token for ``{"user_id"}``."""
        try:
            user = self._people[msgspec.json.decode(await request.read(), type=_Login).user_id]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            return web.json_response({"error": "UNKNOWN_PERSON", "message": "user_id names nobody here"}, status=404)
        return web.json_response({"token": self.token_of(user), "user": msgspec.to_builtins(user)})


def demo_login(context: ExtensionContext) -> DemoLogin:
    """Return the extension.

    Raises:
        SettingsError: Outside development.
    """
    if context.settings.security.mode != "development":
        raise SettingsError(
            "extensions.demo_login: gives a token to whoever asks; only with security.mode = 'development'"
        )
    variable = context.read_config(DemoLoginConfig).secret_env
    secret = os.environ.setdefault(variable, secrets.token_urlsafe(48))
    extension = DemoLogin(context, secret)
    context.add_routes(extension.routes())
    return extension
