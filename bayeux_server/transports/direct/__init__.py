"""The short road: plain requests to the mount, answered without a web framework in between.

aiohttp makes a task, a request, a response and their headers for each POST, which costs several times what the messages
in it do (``benchmarks/README.md``). Most that stock clients send needs none of it: a POST from the server's own origin
or from no page at all, or an upgrade, whole in one packet. :class:`.front_door.FrontDoor` looks at the first
bytes of each connection, serves such requests itself, and gives every connection that brings anything else to aiohttp,
bytes and all, for good. What is read, decided and said is the same on both roads.
"""
