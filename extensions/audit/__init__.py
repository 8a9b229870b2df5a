"""The audit log as the extension ``audit``, set in ``[extensions.audit]``.

Other parts find :data:`AUDITOR` in the web application.
"""

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct
from prometheus_client import Gauge

from bayeux_server.host import ExtensionContext
from bayeux_server.server.extension import Extension
from bayeux_server.settings import SettingsError
from extensions.audit.auditor import Auditor
from extensions.audit.log import AuditLog
from extensions.audit.segments import Segments


class AuditConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[extensions.audit]``.

    Attributes:
        folder: Where the log is; each node writes into a folder of its own below it.
        node: This node's name; the machine's if empty. Two processes must not have the same one.
        key_env: Environment variable with the key of the hashes; without one they are plain SHA-256.
        max_queue: Events that may wait for the disk; beyond, deliveries of PHI wait.
        max_segment_bytes: Size at which the next file is begun.
    """

    folder: str = "data/audit"
    node: str = ""
    key_env: str = ""
    max_queue: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    max_segment_bytes: Annotated[int, Meta(ge=1_024)] = 64 * 1024 * 1024


AUDITOR: Final = web.AppKey("auditor", Auditor)


class AuditExtension(Extension):
    """Starts and stops the log with the server."""

    name = "audit"

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def start(self) -> None:
        """See :meth:`Extension.start`."""
        await self._log.start()

    async def stop(self) -> None:
        """See :meth:`Extension.stop`."""
        await self._log.stop()


def audit(context: ExtensionContext) -> AuditExtension:
    """Return the extension as its section says.

    Raises:
        SettingsError: If the key is not there.
    """
    config = context.read_config(AuditConfig)
    node = re.sub(r"[^A-Za-z0-9_.-]", "_", config.node or socket.gethostname()).lstrip(".") or "node"
    key = os.environ.get(config.key_env, "").encode() if config.key_env else None
    if config.key_env and not key:
        raise SettingsError(f"extensions.audit.key_env = {config.key_env!r}: that environment variable is empty")
    segments = Segments(Path(config.folder) / node, key, max_segment_bytes=config.max_segment_bytes)
    log = AuditLog(segments, max_queue=config.max_queue)
    context.app[AUDITOR] = Auditor(log, node, context.server.core.clock.wall)
    context.add_readiness("audit", log.unready)
    waiting = Gauge("bayeux_audit_waiting_events", "Audit events that wait for the disk.", registry=context.registry)
    waiting.set_function(lambda: len(log))
    written = Gauge(
        "bayeux_audit_written_events", "Audit events on the disk since the start.", registry=context.registry
    )
    written.set_function(lambda: log.written)
    return AuditExtension(log)
