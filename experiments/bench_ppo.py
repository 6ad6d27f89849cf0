"""PPO on the true reward of half-cheetah, with equal settings: PrefRL's own against Stable-Baselines3's.

That library runs twice: on Gymnasium's environments, as its documentation makes them, and on our world, which
leaves the difference between the two learners.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.bench_rows import Bench, Sample, alternate
from experiments.presets import preset
from experiments.train import world_maker
from prefrl.control.config import TrainConfig

TASK = "half-cheetah"


def settings_of(*, steps: int, seed: int, threads: int, episodes: int) -> TrainConfig:
    """64 environments, 128 steps, minibatches of 2048, 10 epochs, a constant learning rate; as SB3 below."""
    base = preset(TASK)
    ppo = replace(base.ppo, minibatch_size=2048, epochs=10, final_learning_rate_fraction=1.0)
    return replace(
        base,
        reward="true",
        steps=steps,
        seed=seed,
        num_envs=64,
        rollout_steps=128,
        num_threads=threads,
        evaluation_episodes=episodes,
        device="cpu",
        ppo=ppo,
    )


def bench_ppo(
    *, steps: int, threads: int, episodes: int, seeds: Sequence[int], folder: Path, say: Callable[[str], None]
) -> Bench:
    """Steps per second of whole training runs, and the true return of what came of them."""

    def settings(seed: int) -> TrainConfig:
        return settings_of(steps=steps, seed=seed, threads=threads, episodes=episodes)

    contenders: dict[str, Callable[[int], Sample]] = {
        "PrefRL": lambda seed: run_ours(settings(seed), folder),
        "SB3, Gymnasium": lambda seed: run_sb3(settings(seed), gymnasium_worlds),
        "SB3, our world": lambda seed: run_sb3(settings(seed), our_worlds),
    }
    kept = {"steps": steps, "threads": threads, "episodes": episodes, "num_envs": 64, "rollout_steps": 128}
    kept |= {"minibatch_size": 2048, "epochs": 10}
    return Bench(f"PPO {TASK}", alternate(contenders, seeds, say=say), kept)


def run_ours(config: TrainConfig, folder: Path) -> Sample:
    """A whole run as ``prefrl train`` makes it, records and checkpoints included, evaluation left out."""
    from experiments.train import train_task

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        summary = train_task(config, Path(aside) / "run", quiet=True)
    return Sample(
        steps=summary["steps"],
        seconds=summary["steps"] / summary["steps_per_second"],
        seed=config.seed,
        labels=summary["labels"] if config.reward == "learned" else None,
        true_return=summary["true_return_mean"],
    )


def run_sb3(config: TrainConfig, make_worlds: Callable[[TrainConfig], Any]) -> Sample:
    """The library's PPO with the same settings; the clock runs while it learns."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import VecNormalize

    worlds = VecNormalize(make_worlds(config), gamma=config.ppo.discount)
    model = PPO(
        "MlpPolicy",
        worlds,
        learning_rate=config.ppo.learning_rate,
        n_steps=config.rollout_steps,
        batch_size=config.ppo.minibatch_size,
        n_epochs=config.ppo.epochs,
        gamma=config.ppo.discount,
        gae_lambda=config.ppo.gae_lambda,
        clip_range=config.ppo.clip,
        ent_coef=config.ppo.entropy_coefficient,
        vf_coef=config.ppo.value_coefficient,
        max_grad_norm=config.ppo.max_grad_norm,
        seed=config.seed,
        device=config.device,
    )
    try:
        started = time.perf_counter()
        model.learn(config.steps)
        seconds = time.perf_counter() - started
    finally:
        worlds.close()
    return Sample(model.num_timesteps, seconds, config.seed, true_return=_evaluate(config, model, worlds))


def gymnasium_worlds(config: TrainConfig) -> Any:
    """Gymnasium's half-cheetah paid for forward velocity alone, as the paper's form of ours is."""
    from stable_baselines3.common.env_util import make_vec_env

    from envs.mujoco_model import quiet_mujoco

    no_torque_cost = {"ctrl_cost_weight": 0.0}
    with quiet_mujoco():  # each model says that its file is old
        return make_vec_env("HalfCheetah-v5", config.num_envs, seed=config.seed, env_kwargs=no_torque_cost)


def our_worlds(config: TrainConfig) -> Any:
    """The world that PrefRL's own PPO is measured on."""
    from prefrl.control.sb3_vec_env import VectorEnvAsVecEnv

    return VectorEnvAsVecEnv(world_maker(config)(config.num_envs, config.seed))


def _evaluate(config: TrainConfig, model: Any, worlds: Any) -> float:
    from prefrl.control.evaluation import evaluate_policy

    returns = evaluate_policy(
        _Actor(model, worlds),
        world_maker(config),
        episodes=config.evaluation_episodes,
        seed=config.seed,
        greedy=True,
    )
    return returns.mean


class _Actor:
    """The library's policy behind its normalisation, as an evaluation asks for it."""

    discrete = False

    def __init__(self, model: Any, worlds: Any) -> None:
        self.model, self.worlds = model, worlds

    def refresh(self) -> None:
        """Nothing to do."""

    def act(self, observation: np.ndarray, _rng: np.random.Generator, *, greedy: bool) -> np.ndarray:
        action, _ = self.model.predict(self.worlds.normalize_obs(observation), deterministic=greedy)
        return np.asarray(action)
