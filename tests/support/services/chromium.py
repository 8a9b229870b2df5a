"""A real Chromium, driven through its debugging port."""

from tests.support.services.packages import require_program
from tests.support.services.service import Service, accepts_connections

_QUIET = (
    "--headless=new",
    "--no-sandbox",  # refused to root, and every page here is our own
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers give it 64 MB
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def install() -> str:
    """Return the path of the browser, installing it when there is none."""
    return require_program("chromium", "chromium-browser", "google-chrome", package="chromium")


class Chromium(Service):
    """One headless browser; a test takes a context of its own in it and so starts with no cookies and no storage."""

    name = "chromium"

    @property
    def endpoint(self) -> str:
        """Where Playwright's ``connect_over_cdp`` connects."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return the command line: an empty profile, and no talk with anybody but loopback."""
        profile = f"--user-data-dir={self.folder / 'profile'}"
        return [install(), *_QUIET, profile, f"--remote-debugging-port={self.port}", "about:blank"]

    def is_ready(self) -> bool:
        """Tell whether its debugging port is open."""
        return accepts_connections(self.port)
