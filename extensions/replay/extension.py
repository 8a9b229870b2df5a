"""The extension: reads what clients ask for, and answers what became of it."""

import asyncio
from typing import Final

import msgspec
import structlog
from msgspec import UNSET

from bayeux_server.checks import check_channels
from bayeux_server.host import ExtensionContext
from bayeux_server.protocol.channel_id import ChannelId
from bayeux_server.protocol.messages import META_HANDSHAKE, META_SUBSCRIBE, Message, Reply, Subscribe
from bayeux_server.server.extension import Extension
from bayeux_server.server.session import ServerSession
from extensions.replay.broker import ReplayBroker
from extensions.replay.catch_up import CatchUp, Parts
from extensions.replay.positions import Positions, read_positions
from extensions.replay.stamp import Stamp

log = structlog.get_logger()

_CATCH_UP: Final = "replay.catch_up"
_PENDING: Final = "replay.pending"
#: A subscribe whose connection was cut gets no reply: what waits for it must not pile up.
_MAX_PENDING: Final = 8
#: Positions looked up at once.
_LOOK_UPS: Final = 32


class ReplaySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[extensions.replay]``: which channels are kept, and where else the id is written."""

    channels: tuple[str, ...] = ("/**",)
    except_channels: tuple[str, ...] = ()
    replay_id_channels: tuple[str, ...] = ("/event/**", "/topic/**", "/data/**")


class _Asked(msgspec.Struct):
    positions: Positions
    gaps: list[str]


class Replay(Extension):
    """Tells events again to those who missed them."""

    name = "replay"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        core = parts.server.core
        core.on_subscribed.append(self._subscribed)
        core.on_unsubscribed.append(self._unsubscribed)
        core.sessions.on_removed.append(lambda session, _reason: _stop(session))

    async def stop(self) -> None:
        """See :meth:`Extension.stop`."""
        for session in self._parts.server.core.sessions:
            _stop(session)

    async def incoming_meta(self, session: ServerSession | None, message: Message) -> None:
        """See :meth:`Extension.incoming_meta`.

        Raises:
            RemoteError: 402, if ``ext.replay`` of a subscribe is no object of channels and ids.
        """
        if session is None or not isinstance(message, Subscribe) or not message.ext or "replay" not in message.ext:
            return
        parts = self._parts
        positions = read_positions(message.ext["replay"], message.names, parts.grammar, parts.stamp)
        gaps = [*positions.unknown(), *await self._gaps(positions.known())]
        pending: dict[bytes | None, _Asked] = session.attributes.setdefault(_PENDING, {})
        pending[None if message.id is None else bytes(message.id)] = _Asked(positions, gaps)
        if len(pending) > _MAX_PENDING:
            del pending[next(iter(pending))]

    def outgoing_meta(self, session: ServerSession | None, reply: Reply) -> None:
        """See :meth:`Extension.outgoing_meta`."""
        if session is None:
            return
        if reply.channel == META_HANDSHAKE:
            reply.extend(self.name, True)
        elif reply.channel == META_SUBSCRIBE:
            pending: dict[bytes | None, _Asked] = session.attributes.get(_PENDING, {})
            asked = pending.pop(None if reply.id is UNSET else bytes(reply.id), None)
            if asked is not None and reply.successful is True:
                reply.extend(self.name, {"gap": sorted(asked.gaps)})

    async def _gaps(self, ids: dict[str, int]) -> list[str]:
        """Return the channels that lost something after the id given, or may have."""
        names = list(ids)
        gaps = []
        for start in range(0, len(names), _LOOK_UPS):
            some = names[start : start + _LOOK_UPS]
            complete = await asyncio.gather(*(self._is_complete(name, ids[name]) for name in some))
            gaps += [name for name, is_complete in zip(some, complete, strict=True) if not is_complete]
        return gaps

    async def _is_complete(self, name: str, last_id: int) -> bool:
        try:
            page = await self._parts.history.after(self._parts.grammar.parse(name), last_id, 1)
        except OSError:
            log.warning("replay.history_unreachable")
            return False
        return page.complete

    def _subscribed(self, session: ServerSession, channel: ChannelId, message: Subscribe | None) -> None:
        if message is None:
            return
        pending: dict[bytes | None, _Asked] = session.attributes.get(_PENDING, {})
        asked = pending.get(None if message.id is None else bytes(message.id))
        wish = asked.positions.wish(channel, self._parts.stamp) if asked else None
        if wish is None:
            return
        catch_up: CatchUp = session.attributes.setdefault(_CATCH_UP, CatchUp(session, self._parts))
        catch_up.start(wish)

    def _unsubscribed(self, session: ServerSession, channel: ChannelId, _message: Subscribe | None) -> None:
        catch_up: CatchUp | None = session.attributes.get(_CATCH_UP)
        if catch_up is not None:
            catch_up.stop(channel.name)


def create(context: ExtensionContext) -> Replay:
    """Return the extension, configured by :class:`ReplaySection`, and put it before the server's broker.

    Raises:
        SettingsError: If it names what is no channel.
    """
    section = context.read_config(ReplaySection)
    for key in section.__struct_fields__:
        check_channels(f"extensions.replay.{key}", getattr(section, key), context.server.core.grammar)
    stamp = Stamp(section.channels, section.except_channels, section.replay_id_channels)
    core = context.server.core
    core.broker = broker = ReplayBroker(core.broker, context.history, stamp, core.clock.now)
    return Replay(Parts(context.server, context.history, broker, stamp))


def _stop(session: ServerSession) -> None:
    catch_up: CatchUp | None = session.attributes.get(_CATCH_UP)
    if catch_up is not None:
        catch_up.stop_all()
