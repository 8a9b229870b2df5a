"""Pages of other origins."""

import json

import aiohttp

from tests.conformance.http import SHAKE
from tests.conformance.world import FOREIGN_ORIGIN, World, scenario


def _allowed(world: World) -> str:
    assert world.target.allowed_origin is not None
    return world.target.allowed_origin


async def _preflight(world: World, origin: str, headers: str = "content-type") -> aiohttp.ClientResponse:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": headers,
    }
    async with world.http.options(world.target.url, headers=asked) as response:
        await response.read()
    return response


@scenario(needs_allowed_origin=True)
async def a_preflight_of_an_allowed_origin_is_granted(world: World) -> None:
    """Its own name, never a star, because credentials go with it."""
    wanted = "Accept, Authorization, Content-Type, Pragma, X-Requested-With"
    response = await _preflight(world, _allowed(world), wanted)
    assert response.status in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == _allowed(world)
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    granted = {name.strip().lower() for name in response.headers["Access-Control-Allow-Headers"].split(",")}
    assert {name.strip().lower() for name in wanted.split(",")} <= granted
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Origin" in response.headers["Vary"]


@scenario(needs_allowed_origin=True)
async def a_reply_to_an_allowed_origin_may_be_read(world: World) -> None:
    """The same on the reply as on the preflight."""
    response = await world.post([SHAKE], Origin=_allowed(world))
    assert response.status == 200
    assert response.headers["Access-Control-Allow-Origin"] == _allowed(world)
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in response.headers["Vary"]


@scenario()
async def a_preflight_of_a_foreign_origin_is_refused(world: World) -> None:
    """So that its pages never get to send."""
    response = await _preflight(world, FOREIGN_ORIGIN)
    assert "Access-Control-Allow-Origin" not in response.headers


@scenario()
async def a_post_of_a_foreign_origin_is_refused_before_anything_is_done(world: World) -> None:
    """403; a sandboxed page's null origin too."""
    client = await world.another()
    await client.subscribe(world.channel())
    for origin in (FOREIGN_ORIGIN, "null", "http://127.0.0.1.foreign.example", "junk"):
        response = await world.post([client.message(world.channel(), data="foreign")], Origin=origin)
        assert response.status == 403, origin
        assert "Access-Control-Allow-Origin" not in response.headers
    await client.publish(world.channel(), "own")
    assert (await client.event())["data"] == "own"


@scenario()
async def a_post_of_the_same_origin_is_always_allowed(world: World) -> None:
    """Browsers send an Origin with every POST."""
    origin = "/".join(world.target.url.split("/")[:3])
    response = await world.post([SHAKE], Origin=origin)
    assert response.status == 200


@scenario()
async def a_socket_of_a_foreign_origin_is_refused_before_it_opens(world: World) -> None:
    """Browsers check nothing there: the server has to."""
    status = 101
    try:
        await world.socket(headers={"Origin": FOREIGN_ORIGIN})
    except aiohttp.WSServerHandshakeError as error:
        status = error.status
    assert status == 403


@scenario(needs_allowed_origin=True)
async def a_socket_of_an_allowed_origin_is_opened(world: World) -> None:
    """One list for all."""
    socket = await world.socket(headers={"Origin": _allowed(world)})
    assert not socket.closed


@scenario()
async def a_script_for_a_foreign_page_is_refused(world: World) -> None:
    """Script tags send no Origin; the Referer tells, and who hides it is refused."""
    parameters = {"message": json.dumps([SHAKE]), "jsonp": "f"}
    for headers in ({"Referer": FOREIGN_ORIGIN + "/"}, {"Sec-Fetch-Site": "cross-site"}):
        async with world.http.get(world.target.url, params=parameters, headers=headers) as response:
            assert response.status == 403, headers


@scenario(needs_allowed_origin=True)
async def a_script_for_an_allowed_page_is_served(world: World) -> None:
    """Without it there is no cross-origin Faye."""
    parameters = {"message": json.dumps([SHAKE]), "jsonp": "f"}
    headers = {"Referer": _allowed(world) + "/page", "Sec-Fetch-Site": "cross-site"}
    async with world.http.get(world.target.url, params=parameters, headers=headers) as response:
        assert response.status == 200
