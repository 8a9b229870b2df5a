"""The demo page: plain files, no build step, with the stock clients out of their npm packages."""

from pathlib import Path
from typing import Final

from aiohttp import web

WEB: Final = Path(__file__).parent.parent / "clients" / "web"
PAGE: Final = WEB / "demo"
PACKAGES: Final = WEB / "node_modules"
#: The stock Faye client for pages that load it from the server, as Faye's own server lets them.
FAYE_SCRIPT: Final = PACKAGES / "faye" / "client" / "faye-browser-min.js"

_DEFAULT_MOUNT: Final = 'data-mount="/bayeux"'


def demo_is_installed() -> bool:
    """Whether there is a page to serve: in a checkout, not in an installed wheel."""
    return PAGE.is_dir()


class Demo:
    """Serves the page at ``/``.

    Args:
        mount: Path of the Bayeux end point the page talks to.
    """

    def __init__(self, mount: str) -> None:
        page = (PAGE / "index.html").read_text(encoding="utf-8")
        self._page = page.replace(_DEFAULT_MOUNT, f'data-mount="{mount}"')

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes to add to an application."""
        packages = [("/vendor/faye", PACKAGES / "faye" / "client"), ("/vendor/cometd", PACKAGES / "cometd")]
        return [
            web.get("/", self.page),
            web.static("/demo", PAGE),
            *(web.static(path, folder) for path, folder in packages if folder.is_dir()),
        ]

    async def page(self, _request: web.Request) -> web.Response:
        """The page."""
        return web.Response(text=self._page, content_type="text/html")
