"""What talks to a Bayeux server: Python, the web, and tools for people."""
