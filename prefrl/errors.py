"""The one error that is shown to a user without a traceback."""


class UsageError(ValueError):
    """The user's input cannot be used; the message names the value and the fix, on one line."""
