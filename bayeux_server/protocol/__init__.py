"""Bayeux without I/O: no socket, no clock, no event loop. Server and client stand on it alike."""
