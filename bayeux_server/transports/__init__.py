"""Bytes in, bytes out: each Bayeux connection type as thin as it can be over aiohttp."""
