"""A revocation in a real SpiceDB silences an open page."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.services.spicedb import SpiceDB
from tests.unit.extensions.authorization.world import UPDATED, audited, world


async def test_who_is_revoked_in_spicedb_goes_silent_and_the_others_do_not(
    tmp_path: Path, spicedb_server: SpiceDB, spicedb_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five seconds are promised; :meth:`World.revoke` waits no longer."""
    monkeypatch.setenv("SPICEDB_KEY", spicedb_token)
    spicedb: dict[str, Any] = {
        "checker": "spicedb",
        "spicedb_target": spicedb_server.target,
        "spicedb_token_env": "SPICEDB_KEY",
        "spicedb_plaintext": True,
        "spicedb_timeout_s": 10.0,
        "spicedb_write_schema": True,
        "spicedb_mirror": True,
    }
    async with world(tmp_path, **spicedb) as care:
        omar, rita = await care.page("omar"), await care.page("rita", "rsa")
        assert await omar.subscribe("/task/1") is None
        assert await rita.subscribe("/task/1") is None
        await care.publish("/task/1", UPDATED)
        assert await omar.events(wait=True) == [UPDATED]
        assert [event["task"]["redacted"] for event in await rita.events(wait=True)] == [True]
        await care.revoke("member:A1#care_team@user:omar")
        await care.publish("/task/1", UPDATED)
        assert len(await rita.events(wait=True)) == 1
        assert [event["type"] for event in await omar.events()] == ["subscription.revoked"]
        assert await omar.subscribe("/task/1") == "403:/task/1:subscribe_denied"
    shown = [event for event in audited(tmp_path) if event["action"] == "R"]
    revoked = [event for event in audited(tmp_path) if event["action"] == "U"]
    assert [event["agent"][0]["who"]["identifier"]["value"] for event in shown] == ["omar"]
    assert {event["agent"][0]["who"]["identifier"]["value"] for event in revoked} == {"omar"}
