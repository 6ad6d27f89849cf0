"""A whole run of the language track in a folder: train, record, save, resume, evaluate, summarise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefrl.checkpoints import load_checkpoint, save_checkpoint
from prefrl.config_io import config_from_dict, config_to_dict
from prefrl.cpu import use_cpu
from prefrl.errors import Interrupted, UsageError
from prefrl.language.bench import Row
from prefrl.language.config import LanguageConfig
from prefrl.language.evaluation import TextEvaluation
from prefrl.language.trainer import TextTrainer
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
MODEL = "model"
"""The trained model, as plain transformers load it."""
WARM_START = "warm_start"
"""The model that it began from."""

Watch = Callable[[Row], None]
"""Called with every row of metrics; a progress bar, say."""


def train_text(
    config: LanguageConfig, folder: str | Path, *, resume: bool = False, watch: Watch | None = None
) -> dict[str, Any]:
    """Trains a language model and leaves a run folder behind, with the model in ``model/``.

    Args:
        config: the run's settings. A resumed run must be given the settings it was started with.
        folder: the run folder; must not hold a run yet, unless ``resume``.
        resume: continue the run in ``folder`` from its newest checkpoint, or from the start if there is none.
        watch: called with every row of metrics.

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
        _check_same_settings(folder, config)
        if (done := run.read_summary()) is not None:
            return done
    else:
        run = RunFolder.create(folder, config_to_dict(config))
    with sole_trainer(folder), run, FeedbackStore(folder / STORE) as store:
        try:
            session = _Session(config, run, store, watch)
        except Exception:
            if not resume:  # an impossible run must not leave a folder in the way of the next one
                run.discard()
            raise
        return session.run(resume=resume)


def load_language_config(folder: str | Path) -> LanguageConfig:
    """The settings that the run in a folder was started with.

    Raises:
        UsageError: no run there, or one that is not of the language track.
    """
    settings = RunFolder.open(folder).config
    if "algorithm" not in settings:
        raise UsageError(f"{folder} is not a run of prefrl language: resume it by the command that began it")
    return config_from_dict(LanguageConfig, settings)


class _Session:
    """One process's share of a run."""

    def __init__(
        self, config: LanguageConfig, run: RunFolder, store: FeedbackStore, watch: Watch | None
    ) -> None:
        use_cpu(config.torch_threads)
        self.config, self.run_folder, self.watch = config, run, watch
        names = store.runs()
        name = names[0] if len(names) == 1 else run.path.resolve().name
        self.trainer = TextTrainer(config, store, run.path, run=name)
        self.exact = self.trainer.exact
        self.clock = RunClock()
        self.rows = 0
        self.last: dict[str, Any] = {}
        """The newest value of what the summary reports of the rows."""
        self.status = StatusWriter(
            run.path, steps=self.trainer.steps, budget=config.labels if config.asks else 0
        )

    def run(self, *, resume: bool) -> dict[str, Any]:
        try:
            with stop_signals() as stopping:
                self._tell(State.STARTING)
                self._begin(resume)
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

    @property
    def _go_on(self) -> str:
        return f"go on with --resume --run {self.run_folder.path}"

    def _begin(self, resume: bool) -> None:
        if resume and any((self.run_folder.path / CHECKPOINTS).glob("*.pt")):
            _, state = load_checkpoint(self.run_folder.path / CHECKPOINTS)
            same = provenance()["versions"] == self.run_folder.provenance()["versions"]
            self.exact = bool(state["exact"]) and self.trainer.exact and same
            self.trainer.load_state_dict(state["trainer"])
            self.clock.load_state_dict(state["clock"])
            self.rows, self.last = state["rows"], state["last"]
            self.run_folder.truncate_after(self.trainer.step, rows=self.rows)
        else:
            self.run_folder.truncate_after(-1)

    def _train(self, stopping: threading.Event) -> None:
        trainer, saved, before = self.trainer, self.trainer.step, self.trainer.step
        for row in trainer.run():
            self._record(row, trainer.step - before)
            before = trainer.step
            due = passes_multiple(saved, trainer.step, self.config.checkpoint_every_steps)
            if due or stopping.is_set():
                self._save()
                saved = trainer.step
            if stopping.is_set() and not trainer.done:
                raise Interrupted(f"stopped at step {trainer.step}, saved; {self._go_on}")

    def _record(self, row: Row, steps: int) -> None:
        self.clock.stamp(row, steps)
        if "waiting" in row:
            self._tell(State.WAITING, row["waiting"])
        else:
            self._tell(State.TRAINING)
            self.run_folder.log(row)
            self.rows += 1
            self.last |= {name: row[name] for name in _REPORTED if name in row}
        if self.watch is not None:
            self.watch(row)

    def _tell(self, state: State, message: str = "") -> None:
        self.status.write(state, step=self.trainer.step, labels=self.trainer.labels, message=message)

    def _save(self) -> None:
        state = {
            "trainer": self.trainer.state_dict(),
            "clock": self.clock.state_dict(),
            "rows": self.rows,
            "last": self.last,
            "exact": self.exact,
        }
        save_checkpoint(self.run_folder.path / CHECKPOINTS, self.trainer.step, state)

    def _finish(self) -> dict[str, Any]:
        trainer = self.trainer
        training_seconds = self.clock.seconds
        after = trainer.evaluate()
        self._save()
        trainer.save_models(self.run_folder.path / WARM_START, self.run_folder.path / MODEL)
        assert trainer.before is not None
        summary = {
            **self._what(),
            **_figures(trainer.before, after, trainer.best_gold()),
            "gold_out_of_distribution": trainer.evaluate_out_of_distribution(),
            **self.last,
            "steps": trainer.step,
            "warm_start_steps": trainer.warm.step,
            "steps_per_second": trainer.step / training_seconds,
            "wall_seconds": self.clock.seconds,
            "exact": self.exact,
            "commit": provenance()["commit"],
            "versions": provenance()["versions"],
        }
        self.run_folder.write_summary(summary)
        return summary

    def _what(self) -> dict[str, Any]:
        config = self.config
        return {
            "task": config.task,
            "algorithm": config.algorithm,
            "reward": config.reward,
            "seed": config.seed,
            "labels": self.trainer.labels,
            "teacher": config.teacher if config.asks else None,
        }


_REPORTED = (
    "agreement",
    "reward_correlation",
    "expected_agreement",
    "best_agreement",
    "skips",
    "kl_per_token",
    "fit_validation_loss",
)


def _figures(before: TextEvaluation, after: TextEvaluation, best_gold: float | None) -> dict[str, Any]:
    """``gold_before`` and ``gold_after``: mean gold score of the likeliest completions of held-out prompts.

    After best-of-n that is the score of the chosen ones.
    """
    gold = after.gold if best_gold is None else best_gold
    return {
        "gold_before": before.gold,
        "gold_after": gold,
        "gold_sampled_before": before.gold_sampled,
        "gold_sampled_after": after.gold_sampled,
        "diversity_before": before.diversity,
        "diversity_after": after.diversity,
        "win_rate": after.win_rate,
        "kl": after.kl,
        "length_after": after.length,
        "finished_after": after.finished,
        "true_return_mean": gold,
        "untrained_return_mean": before.gold,
    }


def _check_same_settings(folder: Path, config: LanguageConfig) -> None:
    started = load_language_config(folder)
    if started == config:
        return
    theirs, ours = config_to_dict(started), config_to_dict(config)
    changed = next(name for name in ours if theirs[name] != ours[name])
    raise UsageError(
        f"{folder} was started with {changed} {theirs[changed]}, not {ours[changed]}: "
        "resume it with its own settings, or choose another --run"
    )
