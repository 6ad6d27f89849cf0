"""The one exception that a world raises for what its user asked for."""


class WorldError(ValueError):
    """A world cannot be made or used as asked; the message names the value and the fix."""
