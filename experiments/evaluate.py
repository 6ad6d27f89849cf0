"""``prefrl evaluate RUN``: fresh episodes of a run's newest policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.options import parse_options


@dataclass(frozen=True)
class EvaluateConfig:
    """Play fresh episodes with a run's newest policy and print their unclipped scores."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    episodes: int = 20
    """Episodes, one per environment."""
    seed: int = 0
    """Seed of the worlds and of sampled actions."""
    greedy: bool | None = None
    """Mean or most likely action; by default the mean on continuous actions, a sample on discrete ones."""
    json: bool = False
    """Print one JSON object instead of a line."""


def main(args: list[str]) -> int:
    return run_evaluate(parse_options(EvaluateConfig, args, command="evaluate"))


def run_evaluate(config: EvaluateConfig) -> int:
    """Evaluates and prints; returns the exit code 0.

    Raises:
        UsageError: no run there, or no checkpoint in it yet.
    """
    from experiments.train import world_maker
    from prefrl.control.evaluation import evaluate_policy
    from prefrl.control.run_settings import load_config
    from prefrl.control.saved_policy import load_actor

    settings = load_config(config.run)
    actor, step = load_actor(config.run, settings, world_maker(settings))
    greedy = not actor.discrete if config.greedy is None else config.greedy
    returns = evaluate_policy(
        actor, world_maker(settings), episodes=config.episodes, seed=config.seed, greedy=greedy
    )
    if config.json:
        figures = {"step": step, "mean": returns.mean, "std": returns.std, "scores": returns.scores.tolist()}
        print(json.dumps(figures))
    else:
        print(
            f"{settings.task} at step {step}: true return {returns.mean:.1f} ± {returns.std:.1f} "
            f"over {config.episodes} episodes ({returns.scores.min():.1f} to {returns.scores.max():.1f})"
        )
    return 0
