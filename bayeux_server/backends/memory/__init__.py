"""The ports within one process: the default."""
