"""What a Bayeux server has to do on the wire, as scenarios that run against any server.

One file for each Bayeux message and each transport. A scenario uses nothing but HTTP and WebSocket; its name says what
is right, its docstring why. ``python -m tests.conformance URL`` runs them all and prints a table; the test suite runs
them against our own server.
"""
