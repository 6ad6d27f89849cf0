"""A run that people answer, as in earnest: training, the app's server and the clip worker at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from experiments.browser import Server
from prefrl.clip_files import FOLDER
from prefrl.errors import UsageError
from prefrl.runs.status import RunStatus, State, read_status

SECONDS_TO_BEGIN = 600.0
SECONDS_TO_STOP = 60.0
OUTPUT = "output.txt"
ENDLESS_STEPS = 10_000_000
INITIAL_STEPS = 30_000
INITIAL_LABELS = 10


def endless_options(labels: int) -> list[str]:
    """Options of ``prefrl train`` for a run that trains from soon after its start until it is stopped.

    Args:
        labels: more than will be given.
    """
    options = {
        "labels": labels,
        "steps": ENDLESS_STEPS,
        "query.initial-fraction": INITIAL_LABELS / labels,
        "query.initial-steps-fraction": INITIAL_STEPS / ENDLESS_STEPS,
    }
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


class LiveRun:
    """Three processes: ``prefrl train TASK --teacher human``, the server, and the worker that draws clips.

    Args:
        folder: of the run; the server shows the folder that it lies in.
        task: what is trained.
        options: more options of ``prefrl train``.

    Raises:
        UsageError: the run or the server does not begin.
    """

    def __init__(self, folder: Path, task: str, options: Sequence[str]) -> None:
        self.folder, self.started = folder, time.monotonic()
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.output = folder.with_name(f"{folder.name}-{OUTPUT}")
        self._processes: list[subprocess.Popen[bytes]] = []
        self.training = self._start("train", task, "--teacher", "human", "--run", str(folder), *options)
        self.worker = self._start("clips", str(folder.parent))
        self.server = Server(folder.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """Ends all three at once, as a power failure would; again, nothing."""
        self.server.kill()
        for process in self._processes:
            process.kill()
            process.wait()

    @property
    def status(self) -> RunStatus | None:
        """What the run says it is doing."""
        return read_status(self.folder)

    @property
    def trains(self) -> bool:
        """Whether the agent is at work now, not waiting for labels."""
        status = self.status
        return status is not None and status.state is State.TRAINING

    def wait_for_clips(self) -> None:
        """Until the first clips are drawn; raises UsageError where the run ends instead."""
        while not any((self.folder / FOLDER).glob("*.json")):
            if time.monotonic() - self.started > SECONDS_TO_BEGIN or self.training.poll() is not None:
                raise UsageError(f"the run shows no pairs: see {self.output}")
            time.sleep(0.2)

    def wait_for_end(self) -> None:
        """Until the training has ended by itself; raises UsageError where it fails."""
        if self.training.wait():
            raise UsageError(f"the run ended with exit code {self.training.returncode}: see {self.output}")

    def stop(self) -> None:
        """Stops the training, which saves itself first."""
        self.training.send_signal(signal.SIGINT)
        try:
            self.training.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            self.training.kill()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with open(self.output, "ab") as output:
            command = [sys.executable, "-m", "experiments.cli", *arguments]
            process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        self._processes.append(process)
        return process
