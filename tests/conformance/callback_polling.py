"""JSONP."""

import json

import aiohttp

from tests.conformance.http import SHAKE
from tests.conformance.world import World, scenario


async def _get(world: World, message: object = None, **parameters: str) -> tuple[aiohttp.ClientResponse, str]:
    query = {"message": json.dumps([SHAKE] if message is None else message), **parameters}
    async with world.http.get(world.target.url, params=query) as response:
        return response, await response.text()


@scenario()
async def calls_the_function_that_was_named(world: World) -> None:
    """The comment keeps the reply from being taken for anything but a script."""
    for name in ("f", "jQuery123_456", "a.b.c", "$", "_", "__jsonp1__", "a" * 64):
        response, text = await _get(world, jsonp=name)
        assert response.status == 200, name
        assert text.startswith(f"/**/{name}(["), text[:50]
        assert text.endswith("]);")


@scenario()
async def calls_jsonpcallback_when_none_was_named(world: World) -> None:
    """As both reference servers do."""
    _, text = await _get(world)
    assert text.startswith("/**/jsonpcallback([")


@scenario()
async def is_a_script_and_nothing_else(world: World) -> None:
    """No sniffing, no keeping, no opening as a page."""
    response, _ = await _get(world, jsonp="f")
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"] == "attachment; filename=f.txt"
    assert "no-store" in response.headers["Cache-Control"]


@scenario()
async def refuses_a_name_that_is_none_of_a_function(world: World) -> None:
    """What stands there is run by the page."""
    for name in ("", "a b", "alert(1)", "1a", "a..b", "a.", ".a", "a;b", "a" * 65, "ä", "aä", "<script>", "a\nb"):
        response, text = await _get(world, jsonp=name)
        assert response.status == 400, name
        assert response.headers["Content-Type"].startswith("text/plain")
        assert "successful" not in text


@scenario()
async def escapes_the_characters_that_end_a_line_of_javascript(world: World) -> None:
    """U+2028 and U+2029 are fine in JSON and were not in scripts."""
    client = await world.session("callback-polling")
    await client.subscribe(world.channel())
    publisher = await world.another()
    await world.post(json.dumps(publisher.message(world.channel(), data="a\u2028b\u2029c"), ensure_ascii=False))
    connect = client.message("/meta/connect", connectionType="callback-polling")
    _, text = await _get(world, [connect], jsonp="f")
    assert "a\\u2028b\\u2029c" in text


@scenario()
async def answers_400_to_what_it_cannot_read(world: World) -> None:
    """As the other HTTP transports."""
    for message in ("", "[]", "{", "5"):
        async with world.http.get(world.target.url, params={"message": message, "jsonp": "f"}) as response:
            assert response.status == 400, message


@scenario()
async def takes_a_single_message(world: World) -> None:
    """Not only arrays."""
    response, text = await _get(world, SHAKE, jsonp="f")
    assert response.status == 200
    assert '"successful":true' in text.replace(" ", "")
