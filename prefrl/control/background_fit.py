"""Fits of the reward ensemble that may run beside the agent's learning.

Christiano et al. 2017, section 2.2: labelling, fitting and the policy's training run asynchronously. Here the
moment at which the agent's reward changes is fixed by whoever calls `take_up`, never by how fast the fit was,
so a run stays a pure function of its settings and its seed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from pickle import UnpicklingError
from typing import Any

import torch

from prefrl.control.fit_worker import FitJob, FitOutcome, FitWorker, run_fit
from prefrl.ensemble import Items, RewardEnsemble
from prefrl.feedback_sets import FeedbackSet
from prefrl.fit_config import FitConfig
from prefrl.fitting import FitReport, RewardFitter


class BackgroundFit:
    """Fits a copy of the ensemble; the ensemble itself changes in `take_up` alone.

    Args:
        ensemble: what the agent's reward comes from, on its device.
        config: the settings of every fit.
        seed: of the bootstrap and of the order of the feedback.
        aside: fit in a process of its own, once that has started; not the first time, when nobody can go on
            without a reward; only where the ensemble lives on the CPU. Where a fit is made changes no number.
    """

    def __init__(self, ensemble: RewardEnsemble, config: FitConfig, *, seed: int, aside: bool) -> None:
        self.ensemble = ensemble
        self.fitter = RewardFitter(copy.deepcopy(ensemble), config, seed=seed)
        self.scale = copy.deepcopy(self.fitter.scale)
        """How the ensemble's members understand ratings; like it, changes in `take_up` alone."""
        self._generator = torch.Generator().manual_seed(seed)
        self._worker = FitWorker() if aside and ensemble.shift.device.type == "cpu" else None
        self._job: FitJob | None = None
        self._ready: tuple[FitReport, float] | None = None

    @property
    def pending(self) -> bool:
        """Whether a fit has begun that is not taken up yet, finished or not."""
        return self._job is not None or self._ready is not None

    def begin(self, items: Items, feedback: Sequence[FeedbackSet]) -> None:
        """Starts a fit to the feedback as it is now.

        Raises:
            RuntimeError: the last one has not been taken up.
            FloatingPointError: the fit, made here at once, was not finite.
        """
        if self.pending:
            raise RuntimeError("a fit is under way: take it up before the next begins")
        job = FitJob(self.fitter, items, feedback, self._generator.get_state(), torch.get_rng_state())
        try:
            if self._worker is not None and self._worker.started and self.ensemble.version:
                self._worker.send(job)
                self._job = job
            else:
                self._keep(run_fit(job))
        except OSError:
            self._keep(self._fit_without_worker(job))

    def wait(self) -> None:
        """Returns once no fit is running. Raises FloatingPointError where it was not finite."""
        if self._job is None:
            return
        job, self._job = self._job, None
        assert self._worker is not None
        try:
            outcome = self._worker.receive()
        except (OSError, EOFError, UnpicklingError):
            outcome = self._fit_without_worker(job)
        self._keep(outcome)

    def take_up(self) -> tuple[FitReport, float]:
        """Waits for the fit that has begun and makes its outcome the ensemble's next version.

        Returns:
            The fit's report, and the seconds it took.

        Raises:
            RuntimeError: none has begun.
            FloatingPointError: the fit was not finite; the ensemble stays as it is.
        """
        self.wait()
        if self._ready is None:
            raise RuntimeError("no fit has begun")
        outcome, self._ready = self._ready, None
        self.ensemble.load_state_dict(self.fitter.ensemble.state_dict())
        self.ensemble.version = self.fitter.ensemble.version
        self.scale.load_state_dict(self.fitter.scale.state_dict())
        return outcome

    def cutpoints(self) -> torch.Tensor:
        """Between the ratings, as the ensemble's present version has them: ``[members, 9]``."""
        with torch.no_grad():
            return self.scale()

    def state_dict(self) -> dict[str, Any]:
        """Waits; then both ensembles, the fitter, and what is still to be taken up."""
        self.wait()
        return {
            "fitter": self.fitter.state_dict(),
            "generator": self._generator.get_state(),
            "ensemble": copy.deepcopy(self.ensemble.state_dict()),
            "version": self.ensemble.version,
            "scale": copy.deepcopy(self.scale.state_dict()),
            "ready": None if self._ready is None else [asdict(self._ready[0]), self._ready[1]],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self.fitter.load_state_dict(state["fitter"])
        self._generator.set_state(state["generator"])
        self.ensemble.load_state_dict(copy.deepcopy(state["ensemble"]))
        self.ensemble.version = int(state["version"])
        self.scale.load_state_dict(state["scale"])
        ready = state["ready"]
        self._job, self._ready = None, None if ready is None else (FitReport(**ready[0]), float(ready[1]))

    def close(self) -> None:
        """Ends the process, and with it a fit that nobody has taken up."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _keep(self, outcome: FitOutcome) -> None:
        self.fitter.load_state_dict(outcome.fitter)
        self._generator.set_state(outcome.generator)
        torch.set_rng_state(outcome.torch_rng)
        self._ready = outcome.report, outcome.seconds

    def _fit_without_worker(self, job: FitJob) -> FitOutcome:
        """The worker was killed, for its memory perhaps: the fit is made here, and so are all that follow."""
        self.close()
        return run_fit(job)
