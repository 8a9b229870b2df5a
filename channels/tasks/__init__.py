"""Tasks: the model, its state machine, changes, merges and events. Pure: no I/O, no clock, no ids made here."""
