"""The pool: recent segments that queries are chosen among."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from prefrl.control.segments import Segments


class SegmentPool:
    """The newest segments, at least ``capacity`` of them once there are so many, batch by batch."""

    def __init__(self) -> None:
        self._batches: list[Segments] = []
        self.first = 0
        """Segments that have been let go; so the number, among all in their order, of the oldest one left."""

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    def add(self, segments: Segments, *, capacity: int) -> None:
        """Takes in a batch and lets the oldest ones go that ``capacity`` does not need any more."""
        if len(segments):
            self._batches.append(segments)
        while len(self._batches) > 1 and len(self) - len(self._batches[0]) >= capacity:
            self.first += len(self._batches.pop(0))

    def segments(self) -> Segments:
        """All of them, oldest first; there must be some."""
        return Segments.join(self._batches)

    def state_dict(self) -> dict[str, Any]:
        """The segments as one batch, how many were in each, and how many have gone."""
        joined = vars(self.segments()) if self._batches else None
        return {"segments": joined, "sizes": [len(batch) for batch in self._batches], "first": self.first}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self.first = state["first"]
        bounds = np.cumsum([0, *state["sizes"]])
        whole = None if state["segments"] is None else Segments(**state["segments"])
        self._batches = [
            whole.take(np.arange(first, last))
            for first, last in itertools.pairwise(bounds)
            if whole is not None
        ]
