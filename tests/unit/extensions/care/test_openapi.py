"""The served OpenAPI document against the running server, by requests made from it: good ones and bad ones."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks as openapi_checks

from extensions.care.http import CALLS, Call
from tests.support.care_world import EAST, JOHN, SARAH, care_world, token_of
from tests.support.examples import examples

_CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
    openapi_checks.ignored_auth,
]
_EXAMPLES = 6


class Running(NamedTuple):
    """A server, and ids of what is there."""

    base: str
    known: dict[str, Any]


@contextmanager
def _running(folder: Path) -> Iterator[Running]:
    """A server on a thread and a loop of its own: the requests block."""
    loop = asyncio.new_event_loop()
    ready: list[Running] = []
    begun, over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with care_world(folder) as world:
            task = await world.task(notes="Left voicemail", assigned_to=SARAH.user_id)
            body = {"name": "Transport", "member_id": JOHN.id}
            request = await world.ask("POST", "/api/service_requests", body=body)
            known = {"task_id": task["id"], "member_id": JOHN.id, "service_request_id": request.body["id"]}
            ready.append(
                Running(world.server.base, {**known, "team_id": EAST, "assigned_to": SARAH.user_id, "version": 1})
            )
            begun.set()
            await over.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            begun.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert begun.wait(30)
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with _running(tmp_path_factory.mktemp("care")) as server:
        yield server


@pytest.fixture(scope="module")
def schema(running: Running) -> Any:
    loaded = schemathesis.openapi.from_url(f"{running.base}/api/openapi.json")
    loaded.validate()
    return loaded


def test_every_operation_is_served_and_described_once() -> None:
    assert len({call.operation for call in CALLS}) == len(CALLS) == len({(each.method, each.path) for each in CALLS})
    assert len(CALLS) == 20


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.operation)
def test_the_server_does_what_the_document_says(
    running: Running, schema: Any, call: Call, mode: schemathesis.GenerationMode
) -> None:
    headers = {"Authorization": f"Bearer {token_of(SARAH)}"}
    positive = mode is schemathesis.GenerationMode.POSITIVE

    @settings(
        max_examples=examples(_EXAMPLES),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[call.path][call.method].as_strategy(generation_mode=mode), meet=st.booleans())
    def requests(case: schemathesis.Case[Any], meet: bool) -> None:
        if meet and positive:
            # Random ids name nothing: half of the requests are about what is there.
            for name, value in running.known.items():
                for part in (case.path_parameters, case.query, case.body):
                    if isinstance(part, dict) and name in part:
                        cast(dict[str, Any], part)[name] = value
        case.call_and_validate(headers=headers, checks=_CHECKS, timeout=30)

    cast(Callable[[], None], requests)()
