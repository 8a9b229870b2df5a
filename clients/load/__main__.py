"""``python -m clients.load``: the same commands as ``bayeux load``."""

from clients.load.cli import load

if __name__ == "__main__":
    load(prog_name="bayeux load")
