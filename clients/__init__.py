"""Who talks to the server: a Python client, command line tools and web pages."""
