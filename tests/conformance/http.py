"""Bodies, statuses and headers of the HTTP transports."""

import asyncio
import gzip
import json
from urllib.parse import urlencode, urlsplit

from tests.conformance.world import World, scenario
from tests.support.client import PATIENCE_S

SHAKE = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"], "id": "1"}


@scenario()
async def answers_an_array_of_json_that_nobody_keeps(world: World) -> None:
    """Whatever was asked."""
    response = await world.post([SHAKE])
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "no-store" in response.headers["Cache-Control"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert isinstance(await response.json(), list)


@scenario()
async def takes_a_single_message(world: World) -> None:
    """The reply is an array all the same."""
    [reply] = await (await world.post(SHAKE)).json()
    assert reply["successful"] is True


@scenario()
async def is_one_end_point_with_all_below_it(world: World) -> None:
    """CometD posts to the mount's sub-paths."""
    for path in ("", "/", "/handshake", "/connect", "/any/thing"):
        async with world.http.post(world.target.url + path, json=[SHAKE]) as response:
            assert response.status == 200, path
            assert (await response.json())[0]["successful"] is True


@scenario()
async def takes_json_by_any_spelling_of_its_type(world: World) -> None:
    """Case and parameters do not matter."""
    for kind in ("application/json", "Application/JSON", "application/json;charset=UTF-8", "application/json; x=y"):
        response = await world.post([SHAKE], Content_Type=kind)
        assert response.status == 200, kind


@scenario()
async def takes_everything_else_as_a_form(world: World) -> None:
    """Faye posts text/plain across origins."""
    form = urlencode({"message": json.dumps([SHAKE])})
    for kind in ("text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "text/plain", "x/y"):
        response = await world.post(form, Content_Type=kind)
        assert response.status == 200, kind
        assert (await response.json())[0]["successful"] is True
    assert (await world.post(form, Content_Type="application/json")).status == 400
    assert (await world.post(json.dumps([SHAKE]), Content_Type="text/plain")).status == 400


@scenario()
async def takes_a_form_of_several_messages(world: World) -> None:
    """Each field a message or an array of them, all are processed in order."""
    client = await world.another()
    one, two, three = (client.message(world.channel(), data=number) for number in range(3))
    form = urlencode([("message", json.dumps(one)), ("message", json.dumps([two, three])), ("other", "x")])
    response = await world.post(form, Content_Type="application/x-www-form-urlencoded")
    replies = await response.json()
    assert [reply["id"] for reply in replies] == [one["id"], two["id"], three["id"]]


@scenario()
async def answers_400_in_plain_text_to_what_it_cannot_read(world: World) -> None:
    """Never an empty array: CometD takes that for a failure of its own."""
    bodies: list[bytes] = [b"", b" ", b"[]", b"{", b"[{}", b"5", b'"a"', b"null", b"true", b"\xff\xfe", b"[1,]"]
    for body in bodies:
        response = await world.post(body)
        assert response.status == 400, body
        assert response.headers["Content-Type"].startswith("text/plain")
    for form in ("", "message=", "message=%5B%5D", "other=1", "message=%ff", "message=5"):
        response = await world.post(form, Content_Type="text/plain")
        assert response.status == 400, form


@scenario()
async def answers_400_to_data_that_is_not_utf_8(world: World) -> None:
    """Passed on, it would close the sockets of all who listen."""
    client = await world.another()
    await client.subscribe(world.channel())
    body = b'[{"channel":"%b","clientId":"%b","id":"1","data":"\xff"}]' % (
        world.channel().encode(),
        str(client.id).encode(),
    )
    assert (await world.post(body)).status == 400
    await client.publish(world.channel(), "whole")
    assert (await client.event())["data"] == "whole"


@scenario()
async def answers_200_to_every_mistake_in_a_message(world: World) -> None:
    """Any other status is a failed transport to a client."""
    bodies: list[object] = [{}, [{}], [5], {"channel": "a"}, {"channel": "/meta/connect"}, {"channel": "/meta/what"}]
    for body in bodies:
        response = await world.post(body)
        assert response.status == 200, body
        [reply] = await response.json()
        assert reply["successful"] is False


@scenario()
async def answers_413_to_a_body_that_is_too_big(world: World) -> None:
    """A mebibyte is the limit; other servers may have another, but 64 MiB is too much for any."""
    body = b'[{"channel":"/a","data":"' + b"a" * (64 * 1024 * 1024) + b'"}]'
    parts = urlsplit(world.target.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        # Bare, because a client that is cut while it sends does not always get to read the answer.
        writer.write(head.encode() + body[: 4 * 1024 * 1024])
        async with asyncio.timeout(PATIENCE_S):
            assert b" 413 " in await reader.readline()
    finally:
        writer.close()


@scenario()
async def answers_413_to_a_body_that_is_too_big_once_inflated(world: World) -> None:
    """A small request must not become a big one inside."""
    body = gzip.compress(b'[{"channel":"/a","data":"' + b"a" * (64 * 1024 * 1024) + b'"}]')
    response = await world.post(body, Content_Encoding="gzip")
    assert response.status == 413


@scenario()
async def answers_400_to_a_body_that_is_not_encoded_as_it_says(world: World) -> None:
    """And text/plain, as to all that cannot be read."""
    response = await world.post([SHAKE], Content_Encoding="gzip")
    assert response.status == 400
    assert response.headers["Content-Type"].startswith("text/plain")


@scenario()
async def takes_a_body_of_half_a_mebibyte(world: World) -> None:
    """Stock clients send what they are given."""
    client = await world.another()
    response = await world.post([client.message(world.channel(), data="a" * 524_288)])
    assert response.status == 200
    assert (await response.json())[0]["successful"] is True


@scenario()
async def takes_a_request_line_of_8_kib(world: World) -> None:
    """One JSONP message can exceed two."""
    message = json.dumps(SHAKE | {"ext": {"padding": "a" * 7_800}})
    async with world.http.get(world.target.url, params={"message": message, "jsonp": "f"}) as response:
        assert response.status == 200


@scenario()
async def sets_a_cookie_with_the_handshake_that_scripts_cannot_read(world: World) -> None:
    """The second secret of a session; only where the request brought none."""
    response = await world.post([SHAKE])
    [cookie] = response.headers.getall("Set-Cookie")
    assert cookie.startswith("BAYEUX_BROWSER=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "path=/", "samesite=lax"} <= attributes
    again = await world.post([SHAKE], Cookie="BAYEUX_BROWSER=known")
    assert "Set-Cookie" not in again.headers
    other = await world.post([{"channel": "/meta/connect", "connectionType": "long-polling"}])
    assert "Set-Cookie" not in other.headers


@scenario()
async def serves_the_stock_faye_script(world: World) -> None:
    """Faye pages load it from the server."""
    for path in ("/client.js", ".js"):
        async with world.http.get(world.target.url + path) as response:
            assert response.status == 200, path
            assert "javascript" in response.headers["Content-Type"]
            assert "Faye" in await response.text()


@scenario()
async def answers_something_to_a_plain_get(world: World) -> None:
    """Somebody who looks with a browser sees no stack trace."""
    async with world.http.get(world.target.url) as response:
        assert 400 <= response.status < 500
