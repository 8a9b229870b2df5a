"""Locks on single fields of a task: leases with fencing tokens, as pure state plus time."""
