"""The error that is shown to a user without a traceback, and the end of a run that was asked to stop."""


class UsageError(Exception):
    """The user's input cannot be used; the message names the value and the fix, on one line.

    Not a ValueError: parsers of options catch those and print pages around them.
    """


class Interrupted(Exception):
    """The run was asked to stop and has saved itself; the message says how to go on."""
