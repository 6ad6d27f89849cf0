"""What a run is doing now, in a small file that others can look at: ``status.json`` in the run folder."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from prefrl.files import write_atomically
from prefrl.processes import process_mark

STATUS = "status.json"
SECONDS_BETWEEN = 0.5
"""Between two writings that only differ in numbers."""


class State(StrEnum):
    """What a run can be doing."""

    STARTING = "starting"
    TRAINING = "training"
    WAITING = "waiting"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"


ENDED = {State.FINISHED, State.STOPPED, State.FAILED}


@dataclass(frozen=True)
class RunStatus:
    """A run at a moment; ``message`` says what is waited for, or why it ended."""

    state: State
    message: str
    step: int
    steps: int
    labels: int
    budget: int
    pid: int
    host: str
    time: float
    """Unix time in seconds."""
    process: str = ""
    """The mark of the process (`prefrl.processes`): another that gets its number later has another."""

    @property
    def here(self) -> bool:
        """Whether its process is, or was, one of this machine."""
        return self.host == socket.gethostname()

    @property
    def lost(self) -> bool:
        """Whether the process has gone without saying how it ended: killed, or a crash of the machine."""
        if self.state in ENDED or not self.here:
            return False
        mark = process_mark(self.pid)
        return mark is None or bool(self.process and mark != self.process)


class StatusWriter:
    """Keeps a run's status file up to date.

    Args:
        folder: the run's.
        steps: the step budget.
        budget: the label budget, 0 where nothing is labelled.
        clock: Unix time in seconds.
    """

    def __init__(
        self, folder: Path, *, steps: int, budget: int, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder, self.steps, self.budget = folder, steps, budget
        self._clock = clock
        self._process = process_mark(os.getpid()) or ""
        self._written: RunStatus | None = None

    def write(self, state: State, *, step: int = 0, labels: int = 0, message: str = "") -> None:
        """Says what the run is doing; a change of numbers alone is not written at every call."""
        now = self._clock()
        last = self._written
        same = last is not None and (last.state, last.message) == (state, message)
        if last is not None and same and now - last.time < SECONDS_BETWEEN:
            return
        status = RunStatus(
            state=state,
            message=message,
            step=step,
            steps=self.steps,
            labels=labels,
            budget=self.budget,
            pid=os.getpid(),
            host=socket.gethostname(),
            time=now,
            process=self._process,
        )
        write_atomically(self.folder / STATUS, json.dumps(asdict(status)).encode())
        self._written = status


def read_status(folder: Path) -> RunStatus | None:
    """The status of the run in a folder; None where none has been written, or something else stands there."""
    try:
        values = json.loads((folder / STATUS).read_text(encoding="utf-8"))
        return RunStatus(**{**values, "state": State(values["state"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
