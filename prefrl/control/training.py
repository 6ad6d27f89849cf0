"""A whole run in a folder: train, record, save, resume, evaluate, summarise.

``train`` is what the command line calls and what a script with its own environment calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from prefrl.checkpoints import load_checkpoint, save_checkpoint
from prefrl.config_io import config_to_dict
from prefrl.control.build import make_learner
from prefrl.control.config import TrainConfig
from prefrl.control.evaluation import EpisodeReturns, MakeEnv
from prefrl.control.pace import Row
from prefrl.control.reward_files import save_reward_model
from prefrl.control.run_settings import check_same_settings, run_name
from prefrl.control.trainer import Trainer
from prefrl.control.training_loop import TrainingLoop
from prefrl.cpu import use_cpu
from prefrl.devices import make_device
from prefrl.diagnostics import drop_sessions_after, save_session
from prefrl.errors import Interrupted, UsageError
from prefrl.runs.clock import RunClock
from prefrl.runs.lock import sole_trainer
from prefrl.runs.log import RunFolder
from prefrl.runs.provenance import provenance
from prefrl.runs.status import State, StatusWriter
from prefrl.runs.stop_signals import stop_signals
from prefrl.schedules import passes_multiple
from prefrl.store.feedback_store import FeedbackStore

STORE = "feedback.sqlite"
CHECKPOINTS = "checkpoints"
SEGMENTS = "segments"


Watch = Callable[[Row], None]
"""Called with the bare step when a run begins and with every row of metrics; a progress bar, say."""


def train(
    config: TrainConfig,
    make_env: MakeEnv,
    folder: str | Path,
    *,
    resume: bool = False,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Trains an agent and leaves a run folder behind.

    Args:
        config: the run's settings. A resumed run must be given the settings it was started with.
        make_env: ``(num_envs, seed)`` to a vector environment of the task.
        folder: the run folder; must not hold a run yet, unless ``resume``.
        resume: continue the run in ``folder`` from its newest checkpoint, or from the start if there is none.
        watch: called when the run begins and with every row of metrics.

    Returns:
        The summary, as it stands in ``summary.json``.

    Raises:
        UsageError: the folder holds a run already, or none to resume, or other settings; the disk is full.
        Interrupted: SIGINT or SIGTERM came; everything is saved.
        FloatingPointError: training has diverged; the last checkpoint is intact.
    """
    folder = Path(folder)
    if resume:
        run = RunFolder.open(folder)
        check_same_settings(folder, config)
        done = run.read_summary()
        if done is not None:
            return done
    else:
        run = RunFolder.create(folder, config_to_dict(config))
    with sole_trainer(folder), run, FeedbackStore(folder / STORE) as store:
        try:
            session = _Session(config, make_env, run, store, watch)
        except Exception:
            if not resume:  # an impossible run must not leave a folder in the way of the next one
                run.discard()
            raise
        return session.run(resume=resume)


def make_agent(
    config: TrainConfig, make_env: MakeEnv, store: FeedbackStore, folder: Path, device: torch.device
) -> TrainingLoop:
    """The trainer of a run before its first step, as its config says."""
    torch.manual_seed(config.seed)
    learner = None
    if config.reward == "learned":
        world = make_env(1, config.seed)
        run = run_name(folder, store)
        learner = make_learner(config, world, store, folder / SEGMENTS, run=run, device=device)
        world.close()
    if config.agent == "ppo":
        return Trainer(config, make_env, learner, device)
    from prefrl.control.sb3_agents import SB3Trainer  # Stable-Baselines3 takes a second to import

    return SB3Trainer(config, make_env, learner, device)


class _Session:
    """One process's share of a run."""

    def __init__(
        self,
        config: TrainConfig,
        make_env: MakeEnv,
        run: RunFolder,
        store: FeedbackStore,
        watch: Watch | None,
    ) -> None:
        self.config, self.run_folder, self.watch = config, run, watch
        self.device = make_device(config.device)
        use_cpu(config.torch_threads)
        self.trainer = make_agent(config, make_env, store, run.path, self.device)
        self.untrained: EpisodeReturns | None = None
        self.correlation: float | None = None
        self.rows = 0
        self.exact = self.trainer.exact
        self.clock = RunClock()
        budget = config.labels if config.reward == "learned" else 0
        self.status = StatusWriter(run.path, steps=config.steps, budget=budget)

    def run(self, *, resume: bool) -> dict[str, Any]:
        try:
            with stop_signals() as stopping:
                self.status.write(State.STARTING)
                self._begin(resume)
                self._stop_if(stopping)
                self._train(stopping)
            summary = self._finish()
            self._tell(State.FINISHED)
            return summary
        except Interrupted as stop:
            self._tell(State.STOPPED, str(stop))
            raise
        except KeyboardInterrupt:
            self._tell(State.STOPPED, f"interrupted before it was saved; {self._go_on}")
            raise
        except Exception as error:
            with suppress(UsageError):  # a full disk must not hide what went wrong
                self._tell(State.FAILED, str(error))
            raise
        finally:
            self.trainer.close()

    @property
    def _go_on(self) -> str:
        return f"go on with --resume --run {self.run_folder.path}"

    def _begin(self, resume: bool) -> None:
        if resume and any((self.run_folder.path / CHECKPOINTS).glob("*.pt")):
            self._restore()
        self._show({"step": self.trainer.step})
        if self.untrained is None:
            self.run_folder.truncate_after(-1)
            drop_sessions_after(self.run_folder.path, -1)
            if resume and not self.exact and self.trainer.learner is not None:
                self.trainer.learner.adopt()
            self.untrained = self.trainer.evaluate()
            self.clock.evaluated()

    def _tell(self, state: State, message: str = "") -> None:
        learner = self.trainer.learner
        labels = 0 if learner is None else learner.labels
        self.status.write(state, step=self.trainer.step, labels=labels, message=message)

    def _train(self, stopping: threading.Event) -> None:
        trainer, saved, before = self.trainer, self.trainer.step, self.trainer.step
        for row in trainer.run():
            self._record(row, trainer.step - before)
            before = trainer.step
            due = passes_multiple(saved, trainer.step, self.config.checkpoint_every_steps)
            if due or stopping.is_set():
                self._save()
                saved = trainer.step
            self._stop_if(stopping)

    def _stop_if(self, stopping: threading.Event) -> None:
        if stopping.is_set() and not self.trainer.done:
            raise Interrupted(f"stopped at step {self.trainer.step}, saved; {self._go_on}")

    def _record(self, row: Row, steps: int) -> None:
        self.clock.stamp(row, steps)
        self.correlation = row.get("reward_correlation", self.correlation)
        if "waiting" in row:
            self._tell(State.WAITING, row["waiting"])
        else:
            self._tell(State.TRAINING)
            self.run_folder.log(row)
            self.rows += 1
            self._keep_report()
        self._show(row)

    def _keep_report(self) -> None:
        """Puts what a session found out where pages find it."""
        learner = self.trainer.learner
        if learner is not None and (report := learner.reports.take()) is not None:
            save_session(self.run_folder.path, report)

    def _show(self, row: Row) -> None:
        if self.watch is not None:
            self.watch(row)

    def _save(self) -> None:
        state = {
            "trainer": self.trainer.state_dict(),
            "untrained": None if self.untrained is None else self.untrained.scores,
            "correlation": self.correlation,
            "clock": self.clock.state_dict(),
            "rows": self.rows,
            "exact": self.exact,
        }
        save_checkpoint(self.run_folder.path / CHECKPOINTS, self.trainer.step, state)
        learner, folder = self.trainer.learner, self.run_folder.path
        if learner is not None and learner.ensemble.version:
            save_reward_model(folder, learner.ensemble, learner.layout, self.config.reward_model)

    def _restore(self) -> None:
        _, state = load_checkpoint(self.run_folder.path / CHECKPOINTS)
        same = provenance()["versions"] == self.run_folder.provenance()["versions"]
        self.exact = bool(state["exact"]) and self.trainer.exact and same
        self.trainer.load_state_dict(state["trainer"], repeat=self.exact)
        self.untrained = EpisodeReturns(state["untrained"])
        self.correlation = state["correlation"]
        self.clock.load_state_dict(state["clock"])
        self.rows = state["rows"]
        self.run_folder.truncate_after(self.trainer.step, rows=self.rows)
        drop_sessions_after(self.run_folder.path, self.trainer.step)

    def _finish(self) -> dict[str, Any]:
        trainer, config = self.trainer, self.config
        training_seconds = self.clock.training_seconds
        final = trainer.evaluate()
        self._save()
        assert self.untrained is not None
        learner, origin = trainer.learner, provenance()
        summary = {
            "task": config.task,
            "seed": config.seed,
            "steps": trainer.step,
            "labels": 0 if learner is None else learner.labels,
            "skips": 0 if learner is None else learner.skips,
            "teacher": None if learner is None else config.teacher,
            "reward": config.reward,
            "agent": config.agent,
            "true_return_mean": final.mean,
            "true_return_std": final.std,
            "untrained_return_mean": self.untrained.mean,
            "steps_per_second": trainer.step / training_seconds,
            "wall_seconds": self.clock.seconds,
            "fit_seconds": self.clock.fit_seconds,
            "reward_correlation": self.correlation,
            "exact": self.exact,
            "commit": origin["commit"],
            "versions": origin["versions"],
        }
        self.run_folder.write_summary(summary)
        return summary
