"""``/meta/connect``: the heartbeat, and over HTTP the road of events."""

import asyncio

from tests.conformance.world import ALL, POLLING, PUSHING, World, scenario

CONNECTION_TYPES = ("websocket", "eventsource", "long-polling", "cross-origin-long-polling", "callback-polling")


@scenario(ALL)
async def is_answered_at_once_the_first_time(world: World) -> None:
    """The client learns at once that the way is open."""
    client = world.client()
    await client.handshake()
    reply = await client.connect()
    assert reply["successful"] is True
    assert reply["clientId"] == client.id
    assert reply["advice"]["reconnect"] == "retry"
    assert {"interval", "timeout"} <= reply["advice"].keys()
    assert "data" not in reply


@scenario(ALL)
async def is_held_until_the_client_s_own_timeout(world: World) -> None:
    """An idle connect is a success without events."""
    client = await world.session()
    started_s = asyncio.get_running_loop().time()
    reply = await client.connect(advice={"timeout": 120})
    assert reply["successful"] is True
    assert asyncio.get_running_loop().time() - started_s >= 0.11
    assert client.peer.inbox.empty()


@scenario(ALL)
async def is_answered_at_once_when_the_client_says_timeout_0(world: World) -> None:
    """Clients ask so after a reconnect, to hear soon that all is well."""
    client = await world.session()
    assert (await client.connect(advice={"timeout": 0}))["successful"] is True


@scenario(ALL)
async def takes_odd_timeouts_as_the_nearest_it_can_do(world: World) -> None:
    """Less than nothing is nothing; more than the server holds is what the server holds."""
    client = await world.session()
    assert (await client.connect(advice={"timeout": -5}))["successful"] is True
    assert (await client.connect(advice={"timeout": 0.5}))["successful"] is True
    held = await world.held(client, advice={"timeout": 1e300})
    await client.publish(world.channel(), "nobody listens")
    assert not held.done()
    assert (await client.connect(advice={"timeout": 0}))["successful"] is True
    assert (await held)["successful"] is True


@scenario(ALL)
async def is_answered_at_once_when_it_shares_its_request(world: World) -> None:
    """Held, it would hold the other replies too."""
    client = await world.session()
    replies = await client.batch(
        client.message("/meta/subscribe", subscription=world.channel()),
        client.message("/meta/connect", connectionType=world.transport),
    )
    assert [reply["successful"] for reply in replies] == [True, True]


@scenario(POLLING)
async def brings_an_event_as_soon_as_there_is_one(world: World) -> None:
    """The held connect is answered with the event, the event first."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel())
    held = await world.held(client)
    await publisher.publish(world.channel(), {"n": 1})
    assert (await held)["successful"] is True
    first, last = client.peer.arrays[-1]
    assert (first["channel"], first["data"]) == (world.channel(), {"n": 1})
    assert last["channel"] == "/meta/connect"


@scenario(POLLING)
async def brings_what_was_waiting_at_once(world: World) -> None:
    """Events between two connects wait in the queue."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel())
    for number in range(3):
        await publisher.publish(world.channel(), number)
    reply = await client.connect()
    assert reply["successful"] is True
    assert [message.get("data") for message in client.peer.arrays[-1]] == [0, 1, 2, None]


@scenario(PUSHING)
async def stays_held_while_events_are_pushed(world: World) -> None:
    """Where events come by themselves, the connect is only the heartbeat."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel())
    held = await world.held(client)
    await publisher.publish(world.channel(), "pushed")
    assert (await client.event())["data"] == "pushed"
    assert not held.done()


@scenario(ALL)
async def releases_an_older_one_with_an_ordinary_success(world: World) -> None:
    """A client whose reply was lost on the way sends another; left hanging, the old one costs a connection."""
    client = await world.session()
    older = await world.held(client)
    newer = await world.held(client, advice={"timeout": 300})
    reply = await older
    assert reply["successful"] is True
    assert reply["advice"]["reconnect"] == "retry"
    assert reply["advice"]["interval"] == 0
    assert (await newer)["successful"] is True


@scenario(ALL)
async def of_an_unknown_session_is_told_to_shake_hands(world: World) -> None:
    """HTTP 200, complete advice, and the socket stays open."""
    client = world.client()
    client.id = "0123456789abcdef0123456789abcdef"
    for _ in range(2):
        reply = await client.connect()
        assert reply["successful"] is False
        assert reply["error"] == "402::session_unknown"
        assert reply["advice"]["reconnect"] == "handshake"
        assert reply["advice"]["interval"] == 0
        assert "timeout" in reply["advice"]


@scenario(ALL)
async def without_a_client_id_is_of_an_unknown_session(world: World) -> None:
    """The same case, whatever stands in its place."""
    client = world.client()
    for fields in ({}, {"clientId": ""}, {"clientId": None}):
        reply = await client.connect(**fields)
        assert reply["successful"] is False
        assert str(reply["error"]).startswith("402:")
        assert reply["advice"]["reconnect"] == "handshake"


@scenario()
async def may_be_of_any_type_that_is_advertised(world: World) -> None:
    """The type says what the client can do, not how this connect came."""
    client = await world.another()
    for connection_type in CONNECTION_TYPES:
        reply = await client.connect(connectionType=connection_type, advice={"timeout": 0})
        assert reply["successful"] is True, connection_type


@scenario(ALL)
async def without_a_connection_type_is_refused(world: World) -> None:
    """The error names the field, or the type that is not spoken here."""
    client = await world.session()
    assert str((await client.ask("/meta/connect"))["error"]).startswith("402:connectionType:")
    assert str((await client.connect(connectionType=5))["error"]).startswith("402:connectionType:")
    assert str((await client.connect(connectionType="flash"))["error"]).startswith("301:flash:")


@scenario(ALL)
async def loses_nothing_when_its_connection_is_cut(world: World) -> None:
    """Events wait in the session's queue; both reference servers lose those that meet the cut."""
    http = await world.browser(cookies=False)
    client, publisher = await world.session(http=http), await world.another()
    await client.subscribe(world.channel())
    held = await world.held(client)
    held.cancel()
    await client.peer.close()
    await http.close()
    for number in range(3):
        await publisher.publish(world.channel(), number)
    again = world.client("long-polling")
    again.id = client.id
    assert [(await again.event())["data"] for _ in range(3)] == [0, 1, 2]


@scenario(POLLING)
async def is_answered_where_it_came_in_when_the_session_hops_to_a_websocket(world: World) -> None:
    """The older one is released on its own transport; events take the socket from then on."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel())
    older = await world.held(client)
    hopped = world.client("websocket")
    hopped.id = client.id
    newer = world.hold(hopped)
    assert (await older)["successful"] is True
    await publisher.publish(world.channel(), "by socket")
    assert (await hopped.event())["data"] == "by socket"
    assert not newer.done()


@scenario(POLLING)
async def takes_events_again_when_the_session_hops_back_from_a_websocket(world: World) -> None:
    """A client that goes back to polling has given its socket up, whether the server noticed that or not."""
    http = await world.browser()
    client, publisher = world.client("long-polling", http=http), await world.another()
    await client.handshake()
    await client.connect()
    await client.subscribe(world.channel())
    socket = world.client("websocket", http=http)
    socket.id = client.id
    await socket.connect(advice={"timeout": 0})
    await publisher.publish(world.channel(), 1)
    assert (await socket.event())["data"] == 1
    back = world.client(http=http)
    back.id = client.id
    held = await world.held(back)
    await publisher.publish(world.channel(), 2)
    assert (await held)["successful"] is True
    assert (await back.event())["data"] == 2
    assert socket.peer.inbox.empty()
