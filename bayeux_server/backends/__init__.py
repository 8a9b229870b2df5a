"""Adapters of :mod:`bayeux_server.ports`."""
