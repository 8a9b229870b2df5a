"""Publishing, and the shape of the events it leads to."""

import asyncio
import json

from tests.conformance.world import ALL, World, scenario
from tests.support.client import PATIENCE_S, Client, Message, WebSocketPeer

VERBATIM = (
    "1.0",
    "1e2",
    "-0.0",
    "12345678901234567890123",
    "null",
    "false",
    '""',
    "[]",
    "{}",
    r'"\u00e9\/\ud83d\ude00 \u2028"',
    '"\u00e9 \u2028 \u2029 \U0001f600"',
    '{"b" : 1, "a": [1,  2] , "b": 2}',
)


@scenario(ALL)
async def is_answered_and_reaches_the_subscribers(world: World) -> None:
    """CometD closes its socket if a publish is not answered."""
    client, publisher = await world.another(), await world.session()
    await client.subscribe(world.channel())
    reply = await publisher.publish(world.channel(), {"hello": "world"})
    assert reply["successful"] is True
    assert reply["channel"] == world.channel()
    assert reply["clientId"] == publisher.id
    assert "data" not in reply
    assert (await client.event())["data"] == {"hello": "world"}


@scenario(ALL)
async def reaches_the_publisher_too(world: World) -> None:
    """If it is subscribed."""
    client = await world.session()
    await client.subscribe(world.channel())
    await client.publish(world.channel(), "echo")
    assert (await client.event())["data"] == "echo"


@scenario(ALL)
async def forwards_nothing_but_channel_and_data(world: World) -> None:
    """A forwarded id meets pending calls; a forwarded advice steers every subscriber."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel())
    await publisher.publish(
        world.channel(),
        "bare",
        ext={"secret": 1},
        advice={"reconnect": "handshake", "interval": 0},
        successful=False,
        error="403::no",
        authToken="t",
        timestamp="yesterday",
    )
    event = await client.event()
    assert (event["channel"], event["data"]) == (world.channel(), "bare")
    # An extension of the server may add fields of its own making.
    assert event.keys() <= {"channel", "data", "ext", "timestamp"}
    assert "secret" not in event.get("ext", {})
    assert event.get("timestamp") != "yesterday"


@scenario(ALL)
async def keeps_an_order(world: World) -> None:
    """Events of one publisher arrive in the order they were published."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel())
    await publisher.batch(*(publisher.message(world.channel(), data=number) for number in range(20)))
    assert [(await client.event())["data"] for _ in range(20)] == list(range(20))


@scenario(("websocket", "long-polling"))
async def passes_data_on_byte_for_byte(world: World) -> None:
    """Numbers too long for a double, escapes, spaces and duplicate keys are the publisher's business."""
    listener = await world.session()
    await listener.subscribe(world.channel())
    if world.transport == "websocket":
        await listener.connect(advice={"timeout": 0})
    publisher = await world.another()
    for text in VERBATIM:
        body = f'[{{"channel":"{world.channel()}","clientId":"{publisher.id}","id":"v","data":{text}}}]'
        response = await world.post(body.encode())
        assert response.status == 200
        assert json.loads(await response.text())[0]["successful"] is True, text
        assert text in await _raw_event(world, listener), text


async def _raw_event(world: World, listener: Client) -> str:
    """Return the text that carries the next event."""
    if isinstance(listener.peer, WebSocketPeer):
        await listener.event()
        return listener.peer.texts[-1]
    connect = listener.message("/meta/connect", connectionType="long-polling")
    return await (await world.post([connect])).text()


@scenario(ALL)
async def of_half_a_surrogate_pair_is_refused_or_passed_on(world: World) -> None:
    """Never altered; and the rest of the batch goes on."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel())
    escape = "\\ud800"
    body = (
        f'[{{"channel":"{world.channel()}","clientId":"{publisher.id}","id":"1","data":"{escape}"}},'
        f'{{"channel":"{world.channel()}","clientId":"{publisher.id}","id":"2","data":"whole"}}]'
    )
    first, second = json.loads(await (await world.post(body)).text())
    assert second["successful"] is True
    event = await client.event()
    if first["successful"]:
        assert event["data"] == "\ud800"
        event = await client.event()
    else:
        assert str(first["error"]).startswith("402:data:")
    assert event["data"] == "whole"


@scenario(ALL)
async def echoes_the_id_with_its_type(world: World) -> None:
    """A string, a number or null comes back as just that; none in, none out."""
    publisher = await world.another()
    for text in ('"7"', "7", "7.50", "null", '""', r'"\u0041"'):
        body = f'{{"channel":"{world.channel()}","clientId":"{publisher.id}","id":{text},"data":1}}'
        assert f'"id":{text}' in (await (await world.post(body)).text()).replace('"id": ', '"id":')
    [reply] = await (await world.post({"channel": world.channel(), "clientId": publisher.id, "data": 1})).json()
    assert reply["successful"] is True
    assert "id" not in reply


@scenario(ALL)
async def without_data_is_refused(world: World) -> None:
    """null is data, nothing is none."""
    client = await world.session()
    reply = await client.ask(world.channel())
    assert str(reply["error"]).startswith("402:data:")
    assert reply["clientId"] == client.id
    assert (await client.publish(world.channel(), None))["successful"] is True


@scenario(ALL)
async def to_a_pattern_is_refused(world: World) -> None:
    """Patterns are for subscribing."""
    client = await world.session()
    for pattern in (world.channel("*"), world.channel("**"), "/**"):
        assert (await client.publish(pattern, 1))["error"] == f"405:{pattern}:channel_invalid"


@scenario(ALL)
async def to_what_is_no_channel_is_refused(world: World) -> None:
    """405."""
    client = await world.session()
    for name in ("", "a", "/", "/a/", "/a//b"):
        reply = await client.publish(name, 1)
        assert str(reply["error"]).startswith("405:"), name


@scenario(ALL)
async def to_meta_channels_is_refused(world: World) -> None:
    """Only the exact names are meta messages; what only begins like one must not slip past the checks of one."""
    client = await world.session()
    for name in ("/meta/foo", "/meta/subscribe/x", "/meta/handshake/x", "/meta"):
        reply = await client.ask(name, data=1, subscription=world.channel(), clientId=client.id)
        assert str(reply["error"]).startswith(f"403:{name}:"), name


@scenario(ALL)
async def to_a_service_channel_is_answered_and_goes_to_nobody(world: World) -> None:
    """Not even to who is subscribed to all channels."""
    client, other = await world.session(), await world.another()
    await other.subscribe(world.channel())
    await other.subscribe("/**")  # which a policy may refuse
    assert (await client.publish("/service/conformance", "private"))["successful"] is True
    await client.publish(world.channel(), "public")
    while (event := await other.event())["channel"] != world.channel():
        assert event["data"] != "private"


@scenario(ALL)
async def of_an_unknown_session_is_refused_without_advice(world: World) -> None:
    """Faye sends old publishes with a dead clientId again after it has a new one."""
    client = world.client()
    client.id = "0123456789abcdef0123456789abcdef"
    reply = await client.publish(world.channel(), 1)
    assert reply["error"] == "402::session_unknown"
    assert "advice" not in reply


@scenario(ALL)
async def without_a_session_is_refused(world: World) -> None:
    """Unless the server is told to accept it."""
    client = world.client()
    assert (await client.publish(world.channel(), 1))["successful"] is False


@scenario(ALL)
async def before_the_first_connect_is_accepted(world: World) -> None:
    """The session is there from the handshake on."""
    client, listener = world.client(), await world.another()
    await listener.subscribe(world.channel())
    await client.handshake()
    assert (await client.publish(world.channel(), "early"))["successful"] is True
    assert (await listener.event())["data"] == "early"


@scenario(ALL)
async def with_a_field_of_the_wrong_type_is_refused_by_the_field_s_name(world: World) -> None:
    """Types are checked before anybody looks at a message; the rest of the batch goes on."""
    client = await world.session()
    for field, wrong in (("ext", 5), ("ext", "a"), ("ext", [1]), ("clientId", 5), ("clientId", {"a": 1})):
        bad = client.message(world.channel(), data=1) | {field: wrong}
        first, second = await client.batch(bad, client.message(world.channel(), data=2))
        assert first["successful"] is False, field
        assert str(first["error"]).startswith(f"402:{field}:"), first
        assert second["successful"] is True


@scenario(ALL)
async def nested_too_deeply_is_refused(world: World) -> None:
    """The depth of a message is bounded; that of others in the batch is their own."""
    client = await world.session()
    deep: object = 1
    for _ in range(500):
        deep = [deep]
    first, second = await client.batch(
        client.message(world.channel(), data=deep), client.message(world.channel(), data=[[1]])
    )
    assert first["successful"] is False
    assert str(first["error"]).startswith("402:data:")
    assert second["successful"] is True


@scenario(ALL)
async def takes_the_last_of_duplicate_keys_for_every_check(world: World) -> None:
    """Two readings of one message would be a way around the checks."""
    client, listener = await world.another(), await world.session()
    await listener.subscribe(world.channel())
    body = (
        f'{{"channel":"/meta/connect","channel":"{world.channel()}","clientId":"x","clientId":"{client.id}",'
        f'"id":"1","data":1,"data":2}}'
    )
    [reply] = await (await world.post(body)).json()
    assert reply["successful"] is True
    assert reply["channel"] == world.channel()
    assert (await listener.event())["data"] == 2


@scenario(ALL)
async def with_members_that_are_no_messages_lets_the_rest_go_on(world: World) -> None:
    """Each is answered by itself."""
    client = await world.session()
    for wrong in (5, "a", None, [], [{"channel": "/a"}]):
        batch: list[object] = [wrong, client.message(world.channel(), data=1)]
        array = await _answers(world, client, batch)
        assert array[0]["successful"] is False
        assert array[0]["error"] == "402::message_invalid"
        assert array[0].keys().isdisjoint({"channel", "id", "clientId", "data"})
        assert array[1]["successful"] is True


async def _answers(world: World, client: Client, batch: list[object]) -> list[Message]:
    if isinstance(client.peer, WebSocketPeer):
        socket = await client.peer.open()
        await socket.send_str(json.dumps(batch))
        async with asyncio.timeout(PATIENCE_S):
            await client.peer.strays.get()
        return client.peer.arrays[-1]
    response = await world.post(batch)
    assert response.status == 200
    array: list[Message] = await response.json()
    return array


@scenario(ALL)
async def without_a_channel_is_refused(world: World) -> None:
    """The error names the field."""
    client = await world.session()
    message = {"id": "n", "clientId": client.id, "data": 1}
    [reply] = await client.batch(message)
    assert str(reply["error"]).startswith("402:channel:")
    [reply] = await client.batch(message | {"channel": 5})
    assert str(reply["error"]).startswith("402:channel:")
