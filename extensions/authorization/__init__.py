"""Who may see what, decided: the relation graph, SpiceDB, the decisions kept of both, and their place in the server."""
