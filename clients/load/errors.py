"""What goes wrong with a run as a whole."""


class HarnessError(Exception):
    """The harness cannot do what was asked; the text is for people, and says what to do where that is known."""
