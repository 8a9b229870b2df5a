"""``long-polling`` and ``cross-origin-long-polling``: messages by POST, events with the reply of a held connect."""

from aiohttp import web

from bayeux_server.errors import BodyError
from bayeux_server.transports.context import TransportContext
from bayeux_server.transports.http import answer, json_response, read_body, refuse


async def long_polling(context: TransportContext, request: web.Request) -> web.StreamResponse:
    """Serve one POST."""
    try:
        bodies = await read_body(request)
    except BodyError as error:
        refusal = refuse(context, error)
        if request.content.exception() is not None:
            refusal.force_close()  # where the body ends is not known
        return refusal
    is_json = request.content_type.lower() == "application/json"
    origin = await context.origin(request, "long-polling" if is_json else "cross-origin-long-polling")
    return await answer(context, request, origin, bodies, json_response)
