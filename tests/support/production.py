"""``bayeux-server serve --config conf/production.toml``: a process of its own, on real services, with a clinic."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from channels.stores.migrations import upgrade
from channels.stores.opening import store_at
from channels.tasks.model import User
from extensions.careflow.config import CareflowConfig
from tests.support.care_world import KEY, found_clinic, token_of
from tests.support.server import ServerProcess
from tests.support.tokens import AUDIENCE, ISSUER

CONFIG = Path(__file__).parents[2] / "conf" / "production.toml"
NODE = "production"
#: Of an issuer of their own, as the configuration has it for services.
SERVICE_ISSUER = "https://services.example"
SERVICE_AUDIENCE = "care-realtime"


class Production(ServerProcess):
    """The server.

    Args:
        folder: For the audit log.
        overrides: Of other keys, ``section.key=value``.
        store_url: Of the care layer's database.
        redis_url: Carries publications, history and presence.
        careflow: The care flow's section.
        sections: Further sections of extensions.
    """

    def __init__(
        self,
        folder: Path,
        *overrides: str,
        store_url: str,
        redis_url: str,
        careflow: CareflowConfig,
        **sections: Mapping[str, Any],
    ) -> None:
        values: dict[str, Mapping[str, Any]] = {
            "authentication": {"issuers": [_people(), _services()]},
            "audit": {"folder": str(folder / "audit"), "node": NODE},
            "presence": {"redis_url": redis_url},
            "care": {"store_url": store_url},
            "careflow": msgspec.to_builtins(careflow),
        }
        over = [f"backend.redis_url={as_toml(redis_url)}", *overrides]
        for name in values | sections:
            section = {**values.get(name, {}), **sections.get(name, {})}
            over += [f"extensions.{name}.{key}={as_toml(value)}" for key, value in section.items()]
        super().__init__(*over, config=CONFIG)


def bearer(user: User) -> dict[str, str]:
    """Return the header with a token of a person."""
    return {"Authorization": f"Bearer {fresh_token(user)}"}


def fresh_token(user: User) -> str:
    """Return a token that is good for an hour of the machine's clock."""
    now = int(time.time())
    return token_of(user, iat=now, exp=now + 3_600)


async def found_clinic_at(store_url: str) -> None:
    """Make the database and put the clinic in, before any server uses it."""
    await asyncio.to_thread(upgrade, store_url)
    store = store_at(store_url)
    await store.start()
    await found_clinic(store)
    await store.stop()


def _people() -> dict[str, Any]:
    roles = ["care_coordinator", "clinician", "rsa"]
    return {"issuer": ISSUER, "audiences": [AUDIENCE], "roles": roles, "keys": [{"kid": KEY.kid, "pem": KEY.pem}]}


def _services() -> dict[str, Any]:
    return {
        "issuer": SERVICE_ISSUER,
        "audiences": [SERVICE_AUDIENCE],
        "roles": ["system"],
        "user_prefix": "service:",
        "keys": [{"kid": KEY.kid, "pem": KEY.pem}],
    }


def as_toml(value: object) -> str:
    """Return a value as TOML in one line. Strings, numbers and truth values are written as in JSON."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {as_toml(each)}" for key, each in value.items() if each is not None) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value)
