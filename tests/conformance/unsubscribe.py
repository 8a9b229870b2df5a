"""``/meta/unsubscribe``."""

from tests.conformance.world import ALL, World, scenario


@scenario(ALL)
async def ends_the_events(world: World) -> None:
    """Of that channel, and of no other."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe([world.channel("a"), world.channel("b")])
    reply = await client.unsubscribe(world.channel("a"))
    assert reply["successful"] is True
    assert reply["channel"] == "/meta/unsubscribe"
    assert reply["subscription"] == world.channel("a")
    assert reply["clientId"] == client.id
    await publisher.publish(world.channel("a"), "a")
    await publisher.publish(world.channel("b"), "b")
    assert (await client.event())["data"] == "b"


@scenario(ALL)
async def takes_a_list(world: World) -> None:
    """As subscribing does; the echo is the list."""
    client, publisher = await world.session(), await world.another()
    names = [world.channel("a"), world.channel("b")]
    await client.subscribe([*names, world.channel("c")])
    reply = await client.unsubscribe(names)
    assert reply["successful"] is True
    assert reply["subscription"] == names
    for name in ("a", "b", "c"):
        await publisher.publish(world.channel(name), name)
    assert (await client.event())["data"] == "c"


@scenario(ALL)
async def from_what_was_not_subscribed_is_a_success(world: World) -> None:
    """What the client wants is so."""
    client = await world.session()
    assert (await client.unsubscribe(world.channel()))["successful"] is True


@scenario(ALL)
async def from_a_pattern_leaves_the_channels_below_it(world: World) -> None:
    """Each subscription is its own."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe([world.channel("*"), world.channel("a")])
    await client.unsubscribe(world.channel("*"))
    await publisher.publish(world.channel("b"), "b")
    await publisher.publish(world.channel("a"), "a")
    assert (await client.event())["data"] == "a"


@scenario(ALL)
async def without_a_subscription_is_refused(world: World) -> None:
    """The error names the field."""
    client = await world.session()
    assert str((await client.ask("/meta/unsubscribe"))["error"]).startswith("402:subscription:")
    assert str((await client.unsubscribe(5))["error"]).startswith("402:subscription:")
    assert (await client.unsubscribe([]))["successful"] is False
    assert str((await client.unsubscribe("a"))["error"]).startswith("405:")


@scenario(ALL)
async def of_an_unknown_session_is_refused_without_advice(world: World) -> None:
    """As all but handshake and connect."""
    client = world.client()
    client.id = "0123456789abcdef0123456789abcdef"
    reply = await client.unsubscribe(world.channel())
    assert reply["error"] == "402::session_unknown"
    assert "advice" not in reply
