"""A Bayeux publish-subscribe server."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("bayeux-server")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0"
