"""``prefrl train TASK``: one run in one folder, with a progress bar."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.options import parse_options, value_after
from experiments.presets import preset
from prefrl.control.config import TrainConfig
from prefrl.errors import UsageError
from prefrl.runs.names import run_folder_name


@dataclass(frozen=True)
class TrainOptions(TrainConfig):
    """Train an agent from comparisons of its own clips, or on the true reward."""

    task: Annotated[str, tyro.conf.Positional] = "half-cheetah"
    """A task of ours, an ALE game, or a Gymnasium id."""
    run: Path | None = None
    """The run folder; by default a folder in runs/ named after the settings."""
    resume: bool = False
    """Continue the run in --run from its newest checkpoint, with its own settings."""


def main(args: list[str]) -> int:
    """Trains, prints the summary and where it is."""
    options = parse(args)
    folder = options.run or default_folder(options)
    summary = train_task(settings_of(options), folder, resume=options.resume)
    print(describe(summary))
    print(f"run folder: {folder}")
    return 0


def parse(args: list[str]) -> TrainOptions:
    """Options on top of the task's preset, or on top of what a resumed run was started with."""
    named = bool(args) and not args[0].startswith("-")
    base = preset(args[0]) if named else TrainConfig()
    if "--resume" in args and (folder := value_after("--run", args)) is not None:
        from prefrl.control.run_settings import load_config

        base = load_config(folder)
        args = args if named else [base.task, *args]
    default = TrainOptions(**{field.name: getattr(base, field.name) for field in dataclasses.fields(base)})
    return parse_options(TrainOptions, args, command="train", default=default)


def settings_of(options: TrainOptions) -> TrainConfig:
    """The run's settings without those of the command."""
    return TrainConfig(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(TrainConfig)}
    )


def default_folder(options: TrainConfig) -> Path:
    """``runs/TASK-REWARD-...-sSEED``: two runs with these the same share it, and the second is refused."""
    name = run_folder_name(
        task=options.task,
        reward=options.reward,
        teacher=options.teacher,
        labels=options.labels,
        agent=options.agent,
        seed=options.seed,
    )
    return Path("runs") / name


def train_task(
    config: TrainConfig, folder: Path, *, resume: bool = False, quiet: bool = False
) -> dict[str, Any]:
    """Trains one of the tasks that ``envs`` knows; the progress bar goes to stderr.

    Raises:
        UsageError: bad settings or folder, a full disk; also when the run was stopped (it is saved).
        WorldError: an unknown task.
    """
    from prefrl.control.training import Interrupted, train

    if config.teacher == "human" and config.reward == "learned" and not quiet:
        print(f"label it in the browser with: prefrl label {folder}", file=sys.stderr)
    with ProgressBar(config, quiet=quiet) as bar:
        try:
            return train(config, world_maker(config), folder, resume=resume, watch=bar.update)
        except Interrupted as stop:
            raise UsageError(str(stop)) from stop


def world_maker(config: TrainConfig) -> Any:
    """``(num_envs, seed)`` to a vector environment of the config's task."""
    from envs import make_vector_env

    def make(num_envs: int, seed: int) -> Any:
        return make_vector_env(
            config.task, num_envs, seed, reward_form=config.reward_form, num_threads=config.num_threads
        )

    return make


class ProgressBar:
    """Steps, steps per second, labels, true and learned return on one line."""

    def __init__(self, config: TrainConfig, *, quiet: bool = False) -> None:
        self.config, self.quiet = config, quiet
        self.bar: Any = None
        self.shown: dict[str, str] = {}

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, row: dict[str, Any]) -> None:
        """Takes in one row of metrics; the first one opens the bar, so that a run that cannot be has none."""
        self.bar = self.bar or self._open(row["step"])
        names = {
            "true_return": "true",
            "learned_return": "learned",
            "labels": "labels",
            "agreement": "agreement",
        }
        for name, label in names.items():
            if row.get(name) is not None:
                self.shown[label] = f"{row[name]:.4g}"
        before = self.shown.pop("waiting for", None)
        if "waiting" in row:
            self.shown["waiting for"] = row["waiting"]
        self.bar.set_postfix(self.shown, refresh=before != self.shown.get("waiting for"))
        self.bar.update(row["step"] - self.bar.n)

    def _open(self, step: int) -> Any:
        from tqdm import tqdm

        name = f"{self.config.task} {self.config.reward} s{self.config.seed}"
        options = {"unit": "step", "unit_scale": True, "disable": self.quiet, "file": sys.stderr}
        return tqdm(desc=name, total=self.config.steps, initial=step, **options)


def describe(summary: dict[str, Any]) -> str:
    """The summary's figures on one line."""
    source = (
        f"{summary['labels']} labels" if summary["reward"] == "learned" else f"{summary['reward']} reward"
    )
    return (
        f"{summary['task']} from {source}: true return {summary['true_return_mean']:.1f} "
        f"± {summary['true_return_std']:.1f} (untrained {summary['untrained_return_mean']:.1f}), "
        f"{summary['steps']} steps at {summary['steps_per_second']:.0f} steps/s"
    )
