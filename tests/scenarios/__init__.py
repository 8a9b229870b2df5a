"""Bayeux over the wire, one file per message, each over every transport."""
