"""Real services for tests: each is installed on demand, started on a free loopback port and torn down with its data.

One module a service, each with the same two things: ``install()``, which makes it available on this machine (at once
when it already is), and a class with ``start``, ``stop``, ``kill`` and ``restart`` that is also a context manager.
``fixtures`` starts them for pytest, once a session and only when a test asks.
"""
