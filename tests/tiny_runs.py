"""Whole runs that take a fraction of a second, and ways to break them off."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.train import world_maker
from prefrl.control.config import RewardConfig, TrainConfig
from prefrl.control.query_config import QueryConfig
from prefrl.control.training import train
from prefrl.fit_config import FitConfig
from prefrl.ppo_config import PPOConfig
from prefrl.runs.log import read_metrics

TIMES = ("seconds", "fit_seconds", "steps_per_second", "wall_seconds", "commit")
"""Figures that measure time, the only ones in which two equal runs differ; and what may move meanwhile."""

TINY = TrainConfig(
    task="probe-target",
    steps=2048,
    labels=24,
    num_envs=8,
    rollout_steps=32,
    num_threads=1,
    device="cpu",
    evaluation_episodes=2,
    checkpoint_every_steps=256,
    ppo=PPOConfig(epochs=2, minibatch_size=64),
    reward_model=RewardConfig(fit=FitConfig(first_gradient_steps=20, max_gradient_steps=5)),
    query=QueryConfig(
        segment_length=10,
        pool_size=60,
        sessions=4,
        initial_steps_fraction=0.2,
        candidates_per_query=4,
        practice_pairs=0,
    ),
)
"""Eight rollouts of the probe that wants a point to be reached; the first two by the untrained policy."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program expects it."""


def run_tiny(folder: Path, config: TrainConfig = TINY, **given: Any) -> dict[str, Any]:
    """Trains and returns the summary; further arguments are those of ``train``."""
    return train(config, world_maker(config), folder, **given)


def tiny(**changes: Any) -> TrainConfig:
    """The tiny settings with some changed; ``query`` and ``reward_model`` may be given as dictionaries."""
    groups = {
        name: replace(getattr(TINY, name), **values)
        for name, values in changes.items()
        if isinstance(values, dict)
    }
    return replace(TINY, **(changes | groups))


def killed_at(rows: int) -> Callable[[dict[str, Any]], None]:
    """A watch that dies at the given row of metrics, counted from 1."""
    seen = 0

    def watch(row: dict[str, Any]) -> None:
        nonlocal seen
        seen += row.keys() > {"step"}  # the bare step is told when a run begins
        if seen == rows:
            raise Killed

    return watch


def figures(folder: Path, summary: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What two equal runs have in common: the summary and every row of metrics, without times."""
    return timeless(summary), [timeless(row) for row in read_metrics(folder)]


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    """A row or a summary without the figures that measure time."""
    return {name: value for name, value in row.items() if name not in TIMES}
