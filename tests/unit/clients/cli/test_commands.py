"""The command ``bayeux``, run as people run it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.server import LocalServer, local_server
from tests.support.services.service import free_port

BAYEUX = str(Path(sys.executable).with_name("bayeux"))
PATIENCE_S = 20.0


async def run(*arguments: str, given: str = "") -> tuple[int | None, str, str]:
    """Run the command to its end and return its code, output and errors."""
    process = await start(*arguments)
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate(given.encode())
    return process.returncode, out.decode(), err.decode()


async def start(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(BAYEUX, *arguments, stdin=pipe, stdout=pipe, stderr=pipe)


async def read_line(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    async with asyncio.timeout(PATIENCE_S):
        return (await stream.readline()).decode().strip()


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with local_server({"extensions": {"acknowledge": {}, "replay": {}}}) as running:
        yield running


class TestPublish:
    async def test_a_value_arrives(self, server: LocalServer) -> None:
        seen = asyncio.Queue[bytes]()
        server.app.server.local_session("test").subscribe(
            "/demo", lambda publication: seen.put_nowait(publication.data)
        )
        assert await run("publish", server.url, "/demo", '{"text": "Hello"}') == (0, "", "")
        assert json.loads(seen.get_nowait()) == {"text": "Hello"}

    async def test_lines_are_read_from_standard_input(self, server: LocalServer) -> None:
        seen = asyncio.Queue[bytes]()
        server.app.server.local_session("test").subscribe(
            "/demo", lambda publication: seen.put_nowait(publication.data)
        )
        code, *_ = await run("publish", server.url, "/demo", "-", given='1\n\n"two"\n')
        assert code == 0
        assert [json.loads(seen.get_nowait()) for _ in range(2)] == [1, "two"]

    async def test_what_is_no_json_is_said(self, server: LocalServer) -> None:
        code, _, err = await run("publish", server.url, "/demo", "{text}")
        assert code == 2
        assert "not JSON" in err

    async def test_a_refusal_is_said(self, server: LocalServer) -> None:
        code, _, err = await run("publish", server.url, "/demo/*", "1")
        assert code == 1
        assert err.startswith("Error: 405:/demo/*")


class TestSubscribe:
    async def test_events_are_lines_and_ctrl_c_is_clean(self, server: LocalServer) -> None:
        process = await start("subscribe", server.url, "/demo/**", "/other")
        assert await read_line(process.stderr) == "# connecting"
        assert await read_line(process.stderr) == "# connected"
        subscribed = asyncio.Event()
        channels = server.app.server.core.channels
        server.app.server.core.on_subscribed.append(lambda *_: subscribed.set())
        async with asyncio.timeout(PATIENCE_S):
            while channels.get("/other") is None:
                await subscribed.wait()
                subscribed.clear()
        await server.app.server.publish("/demo/hello", {"text": "Grüße"})
        line = json.loads(await read_line(process.stdout))
        assert (line["channel"], line["data"]) == ("/demo/hello", {"text": "Grüße"})
        assert isinstance(line["replay_id"], int)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate()
        assert (process.returncode, out, err) == (0, b"", b"# closed\n")
        assert server.sessions == 0

    async def test_it_ends_after_a_count(self, server: LocalServer) -> None:
        for number in range(3):
            await server.app.server.publish("/demo", number)
        code, out, _ = await run("subscribe", server.url, "/demo", "--replay", "-2", "--count", "2")
        assert code == 0
        assert [json.loads(line)["data"] for line in out.splitlines()] == [0, 1]

    async def test_a_server_that_says_goodbye_ends_it(self, server: LocalServer) -> None:
        process = await start("subscribe", server.url, "/demo")
        await read_line(process.stderr)
        await read_line(process.stderr)
        (session,) = server.app.server.core.sessions
        async with asyncio.timeout(PATIENCE_S):
            while session.held is None:  # noqa: ASYNC110 - another process gives no event
                await asyncio.sleep(0.001)
        server.app.server.disconnect(session)
        async with asyncio.timeout(PATIENCE_S):
            _, err = await process.communicate()
        assert process.returncode == 1
        assert b"the server ended the session" in err

    async def test_a_channel_that_is_refused_is_said(self, server: LocalServer) -> None:
        code, _, err = await run("subscribe", server.url, "/meta/*")
        assert code == 1
        assert "Error: 403:/meta/*" in err


class TestPing:
    async def test_each_transport_is_timed(self, server: LocalServer) -> None:
        code, out, _ = await run("ping", server.url, "--count", "1")
        assert code == 0
        assert [line.split("  ")[0] for line in out.splitlines()[1:]] == [
            "websocket",
            "websocket, MessagePack",
            "long-polling",
        ]
        assert out.count(" ms") == 6

    async def test_one_that_does_not_work_is_said(self) -> None:
        async with local_server({"limits": {"max_sockets": 1}}) as server:
            holder = await start("subscribe", server.url, "/demo", "--transport", "websocket")
            await read_line(holder.stderr)
            await read_line(holder.stderr)
            code, out, _ = await run("ping", server.url, "--count", "1", "--timeout", "1")
            holder.send_signal(signal.SIGINT)
            await holder.communicate()
        assert code == 0
        assert out.count("fails") == 2
        assert "503" in out

    async def test_nobody_there_is_said_once_with_what_to_do(self) -> None:
        port = free_port()
        code, out, err = await run("ping", f"http://127.0.0.1:{port}/bayeux")
        assert (code, out) == (1, "")
        assert err.count(f"no connection to 127.0.0.1:{port}") == 1
        assert err.endswith("Is the server running, and is the URL right?\n")

    async def test_no_bayeux_there_is_an_error(self, server: LocalServer) -> None:
        code, out, err = await run("ping", server.base + "/nothing", "--timeout", "0.1")
        assert (code, out.count("fails")) == (1, 3)
        assert "no transport works" in err


class TestUrl:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["ping", "127.0.0.1:8000/bayeux"],
            ["ping", "http:///bayeux"],
            ["ping", "http://127.0.0.1:80000/bayeux"],
            ["publish", "ftp://127.0.0.1/bayeux", "/demo", "1"],
            ["subscribe", "//127.0.0.1/bayeux", "/demo"],
        ],
    )
    async def test_what_is_none_is_said(self, arguments: list[str]) -> None:
        code, out, err = await run(*arguments)
        assert (code, out) == (2, "")
        assert "Invalid value for 'URL'" in err


class TestHelp:
    async def test_it_lists_every_command(self) -> None:
        code, out, _ = await run("--help")
        assert code == 0
        assert [word for word in ("load", "ping", "publish", "subscribe") if word in out] == [
            "load",
            "ping",
            "publish",
            "subscribe",
        ]
