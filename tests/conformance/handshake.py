"""``/meta/handshake``."""

from tests.conformance.world import ALL, World, scenario

CONNECTION_TYPES = {
    "websocket",
    "eventsource",
    "long-polling",
    "cross-origin-long-polling",
    "callback-polling",
}


@scenario(ALL)
async def is_answered_with_a_session_and_all_that_clients_need(world: World) -> None:
    """Stock clients read each of these fields."""
    reply = await world.client().handshake()
    assert reply["channel"] == "/meta/handshake"
    assert reply["successful"] is True
    assert reply["version"] == "1.0"
    assert set(reply["supportedConnectionTypes"]) == CONNECTION_TYPES
    assert "error" not in reply
    assert "data" not in reply


@scenario(ALL)
async def gives_a_client_id_that_cannot_be_guessed(world: World) -> None:
    """128 random bits at least, and characters that need no escaping in a path."""
    one, two = world.client(), world.client()
    ids = [(await client.handshake())["clientId"] for client in (one, two)]
    assert ids[0] != ids[1]
    assert all(client_id.isalnum() and client_id.isascii() and len(client_id) >= 22 for client_id in ids)


@scenario(ALL)
async def gives_complete_advice(world: World) -> None:
    """CometD replaces the last advice, so each has all three; it throws on anything but retry or none here."""
    advice = (await world.client().handshake())["advice"]
    assert advice["reconnect"] == "retry"
    assert advice["interval"] == 0
    assert advice["timeout"] > 0


@scenario(ALL)
async def names_the_oldest_version_it_speaks(world: World) -> None:
    """CometD sends a minimumVersion and looks for one."""
    reply = await world.client().handshake(minimumVersion="1.0", advice={"timeout": 60000, "interval": 0})
    assert reply["minimumVersion"] == "1.0"


@scenario(ALL)
async def echoes_a_number_as_id_as_a_number(world: World) -> None:
    """CometD drops a reply whose id is of another type."""
    client = world.client()
    [reply] = await client.batch(
        {"channel": "/meta/handshake", "id": 7, "version": "1.0", "supportedConnectionTypes": ["long-polling"]}
    )
    assert reply["id"] == 7
    assert type(reply["id"]) is int


@scenario(ALL)
async def without_a_version_is_refused(world: World) -> None:
    """The error names the field."""
    [reply] = await world.client().batch(
        {"channel": "/meta/handshake", "id": "1", "supportedConnectionTypes": ["long-polling"]}
    )
    _is_refused(reply, "402:version:")


@scenario(ALL)
async def with_a_version_that_is_none_is_refused(world: World) -> None:
    """A version starts with digits; what is of another type is none either."""
    for version in ("one", "", 1, None, ["1.0"]):
        _is_refused(await world.client().handshake(version=version), "402:version:")


@scenario(ALL)
async def of_a_later_version_is_answered_with_ours(world: World) -> None:
    """The client did not say that it cannot live with less."""
    reply = await world.client().handshake(version="2.0")
    assert reply["successful"] is True
    assert reply["version"] == "1.0"


@scenario(ALL)
async def that_wants_a_later_version_at_least_is_refused(world: World) -> None:
    """We speak 1.0 only."""
    for minimum in ("1.1", "2.0", "2"):
        _is_refused(await world.client().handshake(version="2.0", minimumVersion=minimum), "300:")


@scenario(ALL)
async def without_connection_types_is_refused(world: World) -> None:
    """Missing, empty or of the wrong type: the error names the field."""
    [reply] = await world.client().batch({"channel": "/meta/handshake", "id": "1", "version": "1.0"})
    _is_refused(reply, "402:supportedConnectionTypes:")
    for types in ("long-polling", None, [1], {"a": 1}):
        _is_refused(await world.client().handshake(supportedConnectionTypes=types), "402:supportedConnectionTypes:")


@scenario(ALL)
async def without_a_connection_type_in_common_is_refused(world: World) -> None:
    """301, and the types the client named."""
    _is_refused(await world.client().handshake(supportedConnectionTypes=["iframe", "flash"]), "301:iframe,flash:")


@scenario(ALL)
async def ignores_a_client_id_that_is_sent(world: World) -> None:
    """A new one is made: nobody chooses the id of a session."""
    old = (await world.client().handshake())["clientId"]
    reply = await world.client().handshake(clientId=old)
    assert reply["successful"] is True
    assert reply["clientId"] != old


@scenario(ALL)
async def has_other_messages_of_its_request_refused(world: World) -> None:
    """The session they would belong to is not there yet."""
    client, listener = world.client(), await world.another()
    channel = world.channel()
    await listener.subscribe(channel)
    shake = client.message("/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"])
    replies = await client.batch(shake, client.message(channel, data="with the handshake", clientId=listener.id))
    assert replies[0]["successful"] is True
    assert replies[1]["successful"] is False
    await listener.publish(channel, "later")
    assert (await listener.event())["data"] == "later"


@scenario(ALL)
async def that_is_refused_keeps_others_out_of_its_request_too(world: World) -> None:
    """Also when it is refused for a missing field."""
    client, listener = world.client(), await world.another()
    channel = world.channel()
    await listener.subscribe(channel)
    publish = client.message(channel, data="with the handshake", clientId=listener.id)
    replies = await client.batch(client.message("/meta/handshake"), publish)
    assert [reply["successful"] for reply in replies] == [False, False]
    await listener.publish(channel, "later")
    assert (await listener.event())["data"] == "later"


@scenario(ALL)
async def happens_once_in_a_request(world: World) -> None:
    """One small request makes one session, not a thousand."""
    client = world.client()
    shakes = [
        client.message("/meta/handshake", version="1.0", supportedConnectionTypes=["long-polling"]) for _ in range(3)
    ]
    replies = await client.batch(*shakes)
    assert [reply["successful"] for reply in replies] == [True, False, False]


def _is_refused(reply: dict[str, object], error: str) -> None:
    assert reply["successful"] is False, reply
    assert str(reply["error"]).startswith(error), reply
    assert "clientId" not in reply
    # Never "handshake": Faye 1.4 then shakes hands hundreds of times a second.
    advice = reply["advice"]
    assert isinstance(advice, dict)
    assert advice["reconnect"] == "none"
    assert {"interval", "timeout"} <= advice.keys()
