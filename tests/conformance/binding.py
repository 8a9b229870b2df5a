"""Whose session it is: the clientId alone does not tell."""

from tests.conformance.world import World, scenario
from tests.support.client import WebSocketPeer


@scenario()
async def a_session_whose_client_showed_its_cookie_needs_it(world: World) -> None:
    """Who only knows the clientId is told that there is no such session."""
    browser = await world.browser()
    await (world.client("long-polling", http=browser)).handshake()
    owner = await world.session("long-polling", http=browser)
    thief = world.client("long-polling")
    thief.id = owner.id
    for reply in (await thief.connect(), await thief.subscribe(world.channel())):
        assert reply["error"] == "402::session_unknown"
        assert "clientId" not in reply
    assert (await owner.connect(advice={"timeout": 0}))["successful"] is True


@scenario()
async def a_stolen_id_looks_just_like_an_unknown_one(world: World) -> None:
    """Nobody learns that what he guessed is somebody's."""
    browser = await world.browser()
    await world.client("long-polling", http=browser).handshake()
    owner = await world.session("long-polling", http=browser)
    replies = []
    for client_id in (owner.id, "0" * 40):
        thief = world.client("long-polling")
        thief.id = client_id
        reply = await thief.connect()
        reply.pop("timestamp", None)  # an extension may say when it was made
        replies.append(reply)
    assert replies[0] == replies[1]


@scenario()
async def a_second_socket_with_a_stolen_id_is_told_and_closed(world: World) -> None:
    """Left open, stock Faye hangs."""
    browser = await world.browser()
    await world.client("long-polling", http=browser).handshake()
    owner = await world.session("websocket", http=browser)
    thief = world.client("websocket")
    thief.id = owner.id
    reply = await thief.connect()
    assert reply["error"] == "402::session_unknown"
    assert isinstance(thief.peer, WebSocketPeer)
    await thief.peer.ended()
    await owner.subscribe(world.channel())
    await owner.publish(world.channel(), "mine")
    assert (await owner.event())["data"] == "mine"


@scenario()
async def a_live_socket_keeps_its_session_from_others(world: World) -> None:
    """A client that never shows a cookie is bound to its socket while that answers a ping."""
    owner = await world.session("websocket")
    thief = world.client("long-polling")
    thief.id = owner.id
    assert (await thief.connect())["error"] == "402::session_unknown"
    assert (await owner.connect(advice={"timeout": 0}))["successful"] is True


@scenario()
async def a_client_without_cookies_resumes_when_its_socket_is_gone(world: World) -> None:
    """As in the reference servers: cometd in Node keeps no cookies on sockets."""
    http = await world.browser(cookies=False)
    owner = await world.session("websocket", http=http)
    await owner.subscribe(world.channel())
    await owner.peer.close()
    again = world.client("websocket")
    again.id = owner.id
    assert (await again.connect(advice={"timeout": 0}))["successful"] is True
    await again.publish(world.channel(), "resumed")
    assert (await again.event())["data"] == "resumed"


@scenario()
async def a_first_visit_may_open_its_socket_and_shake_hands_at_the_same_moment(world: World) -> None:
    """Stock Faye does, and neither request has a cookie then."""
    browser = await world.browser()
    socket = world.websocket(http=await world.browser(cookies=False))
    await socket.open()
    client = world.client("long-polling", http=browser)
    await client.handshake()
    pushed = type(client)(socket, client.id)
    assert (await pushed.connect())["successful"] is True
    assert (await pushed.connect(advice={"timeout": 0}))["successful"] is True


@scenario()
async def a_socket_and_a_handshake_that_got_its_cookie_are_one_browser_s(world: World) -> None:
    """The socket opened a moment earlier, without a cookie; the handshake shows the one the socket was given."""
    browser = await world.browser()
    socket = world.websocket(http=browser)
    await socket.open()
    client = world.client("long-polling", http=browser)
    await client.handshake()
    pushed = type(client)(socket, client.id)
    assert (await pushed.connect())["successful"] is True
    assert (await pushed.connect(advice={"timeout": 0}))["successful"] is True


@scenario()
async def a_browser_may_leave_its_live_socket_for_polling(world: World) -> None:
    """It shows the cookie that came with its handshake."""
    browser = await world.browser()
    client = await world.session("long-polling", http=browser)
    socket = world.client("websocket", http=browser)
    socket.id = client.id
    await socket.connect(advice={"timeout": 0})
    assert (await client.connect(advice={"timeout": 0}))["successful"] is True


@scenario()
async def an_event_stream_of_a_stolen_id_is_404(world: World) -> None:
    """The same check as for any request."""
    browser = await world.browser()
    await world.client("long-polling", http=browser).handshake()
    owner = await world.session("long-polling", http=browser)
    headers = {"Accept": "text/event-stream"}
    async with world.http.get(f"{world.target.url}/{owner.id}", headers=headers) as response:
        assert response.status == 404
