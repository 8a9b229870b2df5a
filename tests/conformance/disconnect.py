"""``/meta/disconnect``."""

from tests.conformance.world import ALL, World, scenario
from tests.support.client import WebSocketPeer


@scenario(ALL)
async def ends_the_session(world: World) -> None:
    """A later connect is of an unknown session."""
    client = await world.session()
    reply = await client.disconnect()
    assert reply["successful"] is True
    assert reply["channel"] == "/meta/disconnect"
    assert reply["clientId"] == client.id
    again = world.client("long-polling")
    again.id = client.id
    reply = await again.connect()
    assert reply["error"] == "402::session_unknown"
    assert reply["advice"]["reconnect"] == "handshake"


@scenario(ALL)
async def answers_the_held_connect_first(world: World) -> None:
    """And tells it not to come back."""
    client = await world.session()
    held = await world.held(client)
    disconnected = await client.disconnect()
    assert disconnected["successful"] is True
    connected = await held
    assert connected["successful"] is True
    assert connected["advice"]["reconnect"] == "none"
    if isinstance(client.peer, WebSocketPeer):
        channels = [message["channel"] for array in client.peer.arrays for message in array]
        assert channels[-2:] == ["/meta/connect", "/meta/disconnect"]


@scenario(ALL)
async def lets_nothing_more_come(world: World) -> None:
    """The channels are left at once."""
    client, publisher, witness = await world.session(), await world.another(), await world.another()
    for listener in (client, witness):
        await listener.subscribe(world.channel())
    await client.disconnect()
    await publisher.publish(world.channel(), "late")
    assert (await witness.event())["data"] == "late"
    assert client.peer.inbox.empty()


@scenario(ALL)
async def sends_what_was_published_before_it(world: World) -> None:
    """Events that were on their way are not dropped for the disconnect that shares their request."""
    client = await world.session()
    await client.subscribe(world.channel())
    held = await world.held(client)
    await client.batch(client.message(world.channel(), data="last"), client.message("/meta/disconnect"))
    await held
    assert (await client.event())["data"] == "last"


@scenario(ALL)
async def of_an_unknown_session_is_refused_without_advice(world: World) -> None:
    """There is nothing to end."""
    client = world.client()
    client.id = "0123456789abcdef0123456789abcdef"
    reply = await client.disconnect()
    assert reply["error"] == "402::session_unknown"
    assert "advice" not in reply


@scenario(("websocket",))
async def leaves_the_socket_to_a_new_handshake(world: World) -> None:
    """A page may log out and in again on the socket it has."""
    client = await world.session()
    await client.disconnect()
    client.id = None
    assert (await client.handshake())["successful"] is True
    assert (await client.connect())["successful"] is True
