"""The policy of a run, from its folder: to evaluate it, to film it, to use it elsewhere."""

from __future__ import annotations

from pathlib import Path

import torch

from prefrl.checkpoints import load_checkpoint
from prefrl.control import build
from prefrl.control.acting import Actor, WorldActor
from prefrl.control.config import TrainConfig
from prefrl.control.evaluation import MakeEnv
from prefrl.control.training import CHECKPOINTS
from prefrl.devices import make_device


def make_actor(config: TrainConfig, make_env: MakeEnv, device: torch.device) -> WorldActor:
    """An untrained policy for a world, as a run with this config begins with; equal for equal seeds."""
    if config.agent == "ppo":
        return _make_own_actor(config, make_env, device)
    from prefrl.control.sb3_agents import make_sb3_actor  # Stable-Baselines3 takes a second to import

    return make_sb3_actor(config, make_env, device)


def load_actor(folder: str | Path, config: TrainConfig, make_env: MakeEnv) -> tuple[WorldActor, int]:
    """The policy in the newest checkpoint of a run, and the step it is of.

    Raises:
        UsageError: there is no checkpoint.
    """
    step, state = load_checkpoint(Path(folder) / CHECKPOINTS)
    device, saved = make_device(config.device), state["trainer"]
    if config.agent != "ppo":
        from prefrl.control.sb3_agents import make_sb3_actor

        return make_sb3_actor(config, make_env, device, state=saved), step
    actor = _make_own_actor(config, make_env, device)
    actor.policy.load_state_dict(saved["policy"])
    if actor.moments is not None:
        actor.moments.load_state_dict(saved["moments"])
    return actor, step


def _make_own_actor(config: TrainConfig, make_env: MakeEnv, device: torch.device) -> Actor:
    env = make_env(1, config.seed)
    try:
        return build.make_actor(config, env, device)
    finally:
        env.close()
