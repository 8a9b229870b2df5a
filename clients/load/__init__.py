"""The load harness behind ``bayeux load``: it speaks plain Bayeux to any server, counts every delivery and times it.

Open loop: messages leave at a fixed rate whatever the server does, and a latency runs from the moment a message was
*scheduled*, so a stalled server cannot hide behind a stalled sender. Subscribers check each stream of messages for
loss, doubles and order. Where the harness itself was the bottleneck it says so and refuses to call the run valid.
"""
