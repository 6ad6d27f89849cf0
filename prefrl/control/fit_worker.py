"""A process that fits the reward ensemble for a run, so that agent and fit do not share one interpreter.

Jobs come by its standard input, outcomes go by its standard output, both pickled: the two ends are one
program. It ends when its input does, however the run has died.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import cloudpickle  # type: ignore[import-untyped]
import torch

from prefrl.cpu import use_cpu
from prefrl.ensemble import Items
from prefrl.feedback_sets import FeedbackSet
from prefrl.fitting import FitReport, RewardFitter

READY = b"ready"
PROGRAM = "import os; os.nice(10); from prefrl.control.fit_worker import main; main()"
"""Nice from its first import on: the run's own threads, the simulators' above all, go first.

Not ``-m``: what is unpickled are this module's classes, not those of a ``__main__``."""


@dataclass
class FitJob:
    """All that a fit depends on, the states of both random generators included."""

    fitter: RewardFitter
    items: Items
    feedback: Sequence[FeedbackSet]
    generator: torch.Tensor
    """State of the generator that shuffles the feedback."""
    torch_rng: torch.Tensor
    """State of torch's own generator, which dropout draws from."""


@dataclass(frozen=True)
class FitOutcome:
    """What a fit leaves behind."""

    report: FitReport
    seconds: float
    fitter: dict[str, Any]
    generator: torch.Tensor
    torch_rng: torch.Tensor


def run_fit(job: FitJob) -> FitOutcome:
    """Fits; raises what the fit raises."""
    started = time.monotonic()
    generator = torch.Generator()
    generator.set_state(job.generator)
    torch.set_rng_state(job.torch_rng)
    report = job.fitter.fit(job.items, job.feedback, generator)
    seconds = time.monotonic() - started
    return FitOutcome(report, seconds, job.fitter.state_dict(), generator.get_state(), torch.get_rng_state())


class FitWorker:
    """The run's end of the worker."""

    def __init__(self) -> None:
        self._started = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(torch.get_num_threads())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(part or os.getcwd() for part in sys.path)},
        )

    @property
    def started(self) -> bool:
        """Whether it takes jobs yet: torch needs seconds to start. Raises OSError where it is gone."""
        assert self._process.stdout is not None
        if not self._started and select.select([self._process.stdout], [], [], 0.0)[0]:
            self._started = self._process.stdout.read(len(READY)) == READY
            if not self._started:
                raise BrokenPipeError("the fitting process has ended")
        return self._started

    def send(self, job: FitJob) -> None:
        """Hands over a job. Raises OSError where the worker is gone."""
        assert self._process.stdin is not None
        cloudpickle.dump(job, self._process.stdin)
        self._process.stdin.flush()

    def receive(self) -> FitOutcome:
        """The outcome of the job handed over last, once it is there.

        Raises:
            OSError, EOFError, UnpicklingError: the worker is gone, in the middle of its answer perhaps.
            Exception: whatever the fit has raised.
        """
        assert self._process.stdout is not None
        outcome = pickle.load(self._process.stdout)
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, FitOutcome)
        return outcome

    def close(self) -> None:
        """Ends the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # half a job may be left that nobody will read
                    pipe.close()
        self._process.kill()
        self._process.wait()


def serve(jobs: BinaryIO, outcomes: BinaryIO) -> None:
    """Fits until there are no more jobs."""
    while True:
        try:
            job = pickle.load(jobs)
        except (EOFError, pickle.UnpicklingError):  # the run is gone, in the middle of a job perhaps
            return
        try:
            outcome: FitOutcome | Exception = run_fit(job)
        except Exception as error:  # the run's to handle
            outcome = error
        pickle.dump(outcome, outcomes)
        outcomes.flush()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which saves itself with this fit
    use_cpu(int(sys.argv[1]))
    outcomes = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed goes elsewhere
    outcomes.write(READY)
    outcomes.flush()
    try:
        serve(sys.stdin.buffer, outcomes)
    except BrokenPipeError:  # the run is gone
        os._exit(0)
