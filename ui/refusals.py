"""What the server says no to."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is not granted: its HTTP status and the reason in words."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
