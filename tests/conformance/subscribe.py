"""``/meta/subscribe``."""

from tests.conformance.world import ALL, World, scenario
from tests.support.client import Client


@scenario(ALL)
async def is_answered_with_the_subscription(world: World) -> None:
    """The reply echoes what was asked, in the same shape."""
    client = await world.session()
    reply = await client.subscribe(world.channel())
    assert reply["successful"] is True
    assert reply["channel"] == "/meta/subscribe"
    assert reply["clientId"] == client.id
    assert reply["subscription"] == world.channel()
    assert (await client.subscribe([world.channel()]))["subscription"] == [world.channel()]


@scenario(ALL)
async def brings_events_of_that_channel_and_no_other(world: World) -> None:
    """Neither those above nor those below."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel("a"))
    for name in ((), ("b",), ("a", "b"), ("a",)):
        await publisher.publish(world.channel(*name), list(name))
    assert (await client.event())["data"] == ["a"]


@scenario(ALL)
async def may_come_before_the_first_connect(world: World) -> None:
    """Events wait for the connect."""
    client, publisher = world.client(), await world.another()
    await client.handshake()
    assert (await client.subscribe(world.channel()))["successful"] is True
    await publisher.publish(world.channel(), "early")
    await client.connect(advice={"timeout": 0})
    assert (await client.event())["data"] == "early"


@scenario(ALL)
async def takes_a_list(world: World) -> None:
    """All of its channels at once."""
    client, publisher = await world.session(), await world.another()
    reply = await client.subscribe([world.channel("a"), world.channel("b")])
    assert reply["successful"] is True
    await publisher.publish(world.channel("a"), "a")
    await publisher.publish(world.channel("b"), "b")
    assert [(await client.event())["data"] for _ in range(2)] == ["a", "b"]


@scenario(ALL)
async def of_a_list_is_all_or_nothing(world: World) -> None:
    """One member that is refused refuses the list; the echo is the list all the same."""
    client, publisher = await world.session(), await world.another()
    wanted = [world.channel("a"), "/meta/connect"]
    reply = await client.subscribe(wanted)
    assert reply["successful"] is False
    assert reply["subscription"] == wanted
    assert str(reply["error"]).startswith("403:/meta/connect:")
    await client.subscribe(world.channel("b"))
    await publisher.publish(world.channel("a"), "a")
    await publisher.publish(world.channel("b"), "b")
    assert (await client.event())["data"] == "b"


@scenario(ALL)
async def twice_is_a_success_and_brings_events_once(world: World) -> None:
    """Stock clients subscribe again after every handshake."""
    client, publisher = await world.session(), await world.another()
    for _ in range(2):
        assert (await client.subscribe(world.channel()))["successful"] is True
    await publisher.publish(world.channel(), 1)
    await publisher.publish(world.channel(), 2)
    assert [(await client.event())["data"] for _ in range(2)] == [1, 2]


@scenario(ALL)
async def with_one_star_matches_one_more_segment(world: World) -> None:
    """Exactly one."""
    assert await _matched(world, "*") == ["a", "b"]


@scenario(ALL)
async def with_two_stars_matches_one_or_more_segments(world: World) -> None:
    """And not the channel they stand below."""
    assert await _matched(world, "**") == ["a", "a/c", "b"]


async def _matched(world: World, star: str) -> list[object]:
    client, publisher = await world.session(), await world.another()
    await client.subscribe(world.channel("x", star))
    await client.subscribe(world.channel("end"))
    for names in ((), ("a",), ("a", "c"), ("b",)):
        await publisher.publish(world.channel("x", *names), "/".join(names))
    await publisher.publish(world.channel("y", "a"), "other")
    await publisher.publish(world.channel("end"), None)
    seen = []
    while (data := (await client.event())["data"]) is not None:
        seen.append(data)
    return seen


@scenario(ALL)
async def through_several_patterns_brings_an_event_once(world: World) -> None:
    """One session, one event."""
    client, publisher = await world.session(), await world.another()
    await client.subscribe([world.channel("a"), world.channel("*"), world.channel("**")])
    await publisher.publish(world.channel("a"), 1)
    await publisher.publish(world.channel("a"), 2)
    assert [(await client.event())["data"] for _ in range(2)] == [1, 2]


@scenario(ALL)
async def to_all_never_shows_meta_or_service_channels(world: World) -> None:
    """``/**`` means broadcast channels."""
    client = await world.session()
    await client.subscribe(world.channel())
    await client.subscribe(["/**", "/*"])  # which a policy may refuse
    await client.publish("/service/conformance", "secret")
    await client.publish(world.channel(), "for all")
    while (event := await client.event())["channel"] != world.channel():
        assert not event["channel"].startswith(("/service", "/meta"))


@scenario(ALL)
async def to_meta_channels_is_refused(world: World) -> None:
    """Whatever is below or above them, patterns too."""
    client = await world.session()
    for name in ("/meta/connect", "/meta", "/meta/*", "/meta/**", "/meta/subscribe/x", "/service"):
        await _is_refused(client, name, f"403:{name}:subscribe_denied")


@scenario(ALL)
async def to_a_service_channel_succeeds_and_records_nothing(world: World) -> None:
    """Clients that subscribe to the channel of a service get its answers without."""
    client, other = await world.session(), await world.another()
    assert (await client.subscribe("/service/conformance"))["successful"] is True
    await client.subscribe(world.channel())
    await other.publish("/service/conformance", "secret")
    await other.publish(world.channel(), "open")
    assert (await client.event())["data"] == "open"


@scenario(ALL)
async def to_what_is_no_channel_is_refused(world: World) -> None:
    """405, and the name cannot break out of its place in the error."""
    client = await world.session()
    for name in ("", "/", "a", "/a/", "//a", "/a/*/b", "/a/**/b", "/a*", "/a\u00fc", "/a?b", "/" + "a" * 300):
        await _is_refused(client, name, "405:")
    error = str((await client.subscribe("/a:b,c"))["error"])
    assert error.count(":") == 2
    assert "," not in error


@scenario(ALL)
async def without_a_subscription_is_refused(world: World) -> None:
    """Missing or of the wrong type."""
    client = await world.session()
    assert str((await client.ask("/meta/subscribe"))["error"]).startswith("402:subscription:")
    for wrong in (None, 5, True, {"a": 1}, [1], ["/a", None]):
        await _is_refused(client, wrong, "402:subscription:")


@scenario(ALL)
async def to_an_empty_list_is_refused(world: World) -> None:
    """It would be a success that does nothing."""
    client = await world.session()
    await _is_refused(client, [], "403::subscription_invalid")


@scenario(ALL)
async def of_an_unknown_session_is_refused_without_advice(world: World) -> None:
    """Only handshake and connect steer the client."""
    client = world.client()
    client.id = "0123456789abcdef0123456789abcdef"
    reply = await client.subscribe(world.channel())
    assert reply["error"] == "402::session_unknown"
    assert "advice" not in reply
    assert reply["subscription"] == world.channel()


async def _is_refused(client: Client, subscription: object, error: str) -> None:
    reply = await client.subscribe(subscription)
    assert reply["successful"] is False, reply
    assert str(reply["error"]).startswith(error), reply
    assert reply["subscription"] == subscription
