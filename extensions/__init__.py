"""Parts that plug into the server, each optional: one module or package per extension."""
