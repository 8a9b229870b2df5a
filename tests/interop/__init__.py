"""The stock faye and cometd clients, in Node and in a browser, against this server."""
