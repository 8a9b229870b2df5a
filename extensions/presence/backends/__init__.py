"""Where presence and locks are kept: in this process, or in Redis for several nodes."""
