"""The one error that is shown to a user without a traceback."""


class UsageError(Exception):
    """The user's input cannot be used; the message names the value and the fix, on one line.

    Not a ValueError: parsers of options catch those and print pages around them.
    """
