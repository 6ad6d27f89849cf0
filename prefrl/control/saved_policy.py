"""The policy of a run, from its folder: to evaluate it, to film it, to use it elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from prefrl.checkpoints import load_checkpoint
from prefrl.control.acting import Actor
from prefrl.control.build import make_device
from prefrl.control.config import TrainConfig
from prefrl.control.evaluation import MakeEnv
from prefrl.control.policies import is_image, make_policy
from prefrl.control.training import CHECKPOINTS
from prefrl.errors import UsageError
from prefrl.moments import RunningMoments


def make_actor(config: TrainConfig, make_env: MakeEnv, device: torch.device) -> Actor:
    """An untrained policy for a world, as a run with this config begins with; equal for equal seeds."""
    torch.manual_seed(config.seed)
    env = make_env(1, config.seed)
    space, actions = env.single_observation_space, env.single_action_space
    env.close()
    policy = make_policy(
        space,
        actions,
        hidden=config.policy.hidden,
        pixel_preset=config.policy.pixel_preset,
        initial_log_std=config.policy.initial_log_std,
    ).to(device)
    moments = None if is_image(space) else RunningMoments((int(np.prod(space.shape or (1,))),))
    return Actor(policy, moments, device)


def load_actor(folder: str | Path, config: TrainConfig, make_env: MakeEnv) -> tuple[Actor, int]:
    """The newest checkpoint's policy of a run with PrefRL's own PPO, and the step it is of.

    Raises:
        UsageError: no checkpoint, or the run's agent is not PrefRL's own.
    """
    if config.agent != "ppo":
        raise UsageError(
            f"{folder} holds a Stable-Baselines3 agent ({config.agent}): load it with that library"
        )
    step, state = load_checkpoint(Path(folder) / CHECKPOINTS)
    actor = make_actor(config, make_env, make_device(config.device))
    actor.policy.load_state_dict(state["trainer"]["policy"])
    if actor.moments is not None:
        actor.moments.load_state_dict(state["trainer"]["moments"])
    return actor, step
