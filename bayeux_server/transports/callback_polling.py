"""``callback-polling``: messages in the query of a script's address, the reply as a call of a function (JSONP)."""

import re
from typing import Final

from aiohttp import web

from bayeux_server.errors import BodyError
from bayeux_server.transports.context import TransportContext
from bayeux_server.transports.http import answer, form_messages, refuse

DEFAULT_CALLBACK: Final = "jsonpcallback"
CALLBACK: Final = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*", re.ASCII)
MAX_CALLBACK_CHARACTERS: Final = 64


async def callback_polling(context: TransportContext, request: web.Request) -> web.StreamResponse:
    """Serve one GET."""
    callback = request.query.get("jsonp", DEFAULT_CALLBACK)
    if len(callback) > MAX_CALLBACK_CHARACTERS or not CALLBACK.fullmatch(callback):
        return web.Response(status=400, text="jsonp: not a name of a function")
    try:
        bodies = form_messages(request.rel_url.raw_query_string)
    except BodyError as error:
        return refuse(context, error)
    if sum(map(len, bodies)) > context.settings.max_body_bytes:
        return refuse(context, BodyError("the message is too big", too_big=True))

    def respond(array: bytes) -> web.Response:
        # Two characters are fine in JSON and end a line in old JavaScript. The comment and the headers keep the reply
        # from being taken for anything but a script (the "Rosetta Flash" trick).
        safe = array.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
        return web.Response(
            body=b"/**/%b(%b);" % (callback.encode(), safe),
            content_type="text/javascript",
            charset="utf-8",
            headers={
                "Cache-Control": "no-cache, no-store",
                "X-Content-Type-Options": "nosniff",
                "Content-Disposition": "attachment; filename=f.txt",
            },
        )

    return await answer(context, request, await context.origin(request, "callback-polling"), bodies, respond)
