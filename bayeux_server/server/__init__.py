"""Sessions, channels and the road of a publish. Knows no transport, no web framework, no backend."""
