"""Where the wall time of a run goes, over all its processes."""

from __future__ import annotations

import time
from typing import Any

Row = dict[str, Any]
"""Of metrics."""


class RunClock:
    """Starts when it is made; a resumed run's goes on from ``load_state_dict``."""

    def __init__(self) -> None:
        self.fit_seconds = 0.0
        """Spent fitting the reward ensemble."""
        self.evaluation_seconds = 0.0
        """Spent on the untrained policy's episodes, before the first step."""
        self._before = 0.0
        self._recorded = 0.0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time of the run so far."""
        return self._before + time.monotonic() - self._started

    @property
    def training_seconds(self) -> float:
        """Seconds of it from the first step on."""
        return self.seconds - self.evaluation_seconds

    def evaluated(self) -> None:
        """The untrained policy's episodes are over."""
        self.evaluation_seconds = self.seconds

    def stamp(self, row: Row, steps: int) -> None:
        """Puts ``seconds`` and ``steps_per_second`` into a row of metrics about so many new steps."""
        seconds = self.seconds
        if steps:
            row["steps_per_second"] = steps / max(seconds - self._recorded, 1e-9)
            self._recorded = seconds
        row["seconds"] = seconds
        self.fit_seconds += float(row.get("fit_seconds", 0.0))

    def state_dict(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds,
            "fit_seconds": self.fit_seconds,
            "evaluation_seconds": self.evaluation_seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._before = self._recorded = state["seconds"]
        self.fit_seconds, self.evaluation_seconds = state["fit_seconds"], state["evaluation_seconds"]
        self._started = time.monotonic()
