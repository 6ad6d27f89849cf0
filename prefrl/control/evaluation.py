"""Evaluating a policy: fresh episodes on fixed seeds, scored by the world alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv

from prefrl.control.acting import WorldActor
from prefrl.errors import UsageError

MakeEnv = Callable[[int, int], VectorEnv]
"""``(num_envs, seed)`` to a vector environment."""

EVALUATION_SEED = 1_000_003
"""Evaluation worlds are seeded with this plus the run's seed, away from any training seed."""


class EpisodeReturns(NamedTuple):
    """Unclipped scores of single episodes, in the order of the environments."""

    scores: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """Spread over episodes (population)."""
        return float(self.scores.std())


def evaluate_policy(
    actor: WorldActor,
    make_env: MakeEnv,
    *,
    episodes: int,
    seed: int,
    greedy: bool,
    max_steps: int = 30_000,
) -> EpisodeReturns:
    """One episode in each of ``episodes`` environments; each environment's first episode counts.

    Taking the first episode of each, and waiting for all, keeps short episodes from being counted more
    often than long ones.

    Args:
        actor: decides; its normalisation is used as it is and not updated.
        make_env: makes the world.
        episodes: episodes, one per environment.
        seed: of the run; the world's seed and the sampled actions follow from it.
        greedy: the mean or most likely action instead of a sample.
        max_steps: an episode still open then counts with its score so far.
    """
    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, not {episodes}")
    env = make_env(episodes, EVALUATION_SEED + seed)
    rng = np.random.default_rng([seed, 3])
    scores, running = np.zeros(episodes), np.ones(episodes, dtype=bool)
    try:
        actor.refresh()
        observation, _ = env.reset()
        for _ in range(max_steps):
            observation, _, _, _, infos = env.step(actor.act(observation, rng, greedy=greedy))
            scores += np.where(running, infos["score"], 0.0)
            running &= ~infos["episode_end"]
            if not running.any():
                break
            if hasattr(env, "forget_finished_episodes"):
                env.forget_finished_episodes()
    finally:
        env.close()
    return EpisodeReturns(scores)
