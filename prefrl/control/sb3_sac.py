"""Stable-Baselines3's SAC on a reward that changes: the whole replay buffer is relabelled after each fit.

Lee et al. 2021, "PEBBLE", section 4.2: an off-policy agent on stale rewards would learn from all the reward
models there have been at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger

from prefrl.control.config import TrainConfig
from prefrl.control.policies import is_image
from prefrl.control.rollouts import Rollout
from prefrl.control.sac_config import SACConfig
from prefrl.control.sb3_ppo import sample_actions
from prefrl.control.sb3_vec_env import StepReward, VectorEnvAsVecEnv
from prefrl.errors import UsageError

BUFFER_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
METRICS = {
    "train/actor_loss": "policy_loss",
    "train/critic_loss": "value_loss",
    "train/ent_coef": "temperature",
}
RELABELLED_STEPS = 65_536
"""Transitions relabelled at a time: bounds the memory that it takes."""


class SB3SAC:
    """SAC of Stable-Baselines3 for continuous actions and vector observations.

    The reward of each step is asked for when it is taken, with the version of the moment; ``relabel`` asks
    again for all that are kept.

    Args:
        config: ``sac`` settings and the seed are used.
        env: the world, not reset yet; it must give the same reward.
        reward: what to learn from.
        steps: agent steps per environment between two rows of metrics.
        untrained_steps: agent steps of random actions before the first update.
        device: where its networks live.

    Raises:
        UsageError: discrete actions or frames.
    """

    discrete = False

    def __init__(
        self,
        config: TrainConfig,
        env: VectorEnvAsVecEnv,
        reward: StepReward,
        *,
        steps: int,
        untrained_steps: int,
        device: torch.device,
        settings: SACConfig,
    ) -> None:
        if not isinstance(env.action_space, Box) or is_image(env.observation_space):
            raise UsageError(f"sb3-sac needs continuous actions and no frames: use sb3-ppo for {config.task}")
        self.config, self.env, self.reward, self.steps = config, env, reward, steps
        self.model = SAC(
            "MlpPolicy",
            env,
            learning_rate=settings.learning_rate,
            batch_size=settings.batch_size,
            buffer_size=min(settings.buffer_size, config.steps + steps * env.num_envs),
            learning_starts=untrained_steps,
            train_freq=1,
            gradient_steps=max(1, round(settings.updates_per_step * env.num_envs)),
            gamma=config.ppo.discount,
            policy_kwargs={"net_arch": [settings.hidden, settings.hidden]},
            seed=config.seed,
            device=device,
        )
        self.model.set_logger(Logger(None, []))

    def explore(self) -> Rollout:
        """Random actions, kept in the replay buffer, without an update."""
        return self._collect()

    def advance(self, progress: float) -> tuple[Rollout, np.ndarray, dict[str, Any]]:  # noqa: ARG002
        """So many steps with their updates: the steps, their reward and metrics."""
        rollout = self._collect()
        reward = self.reward(rollout.observation, rollout.world_action, rollout.true_reward)
        logged = self.model.logger.name_to_value
        return rollout, reward, {name: float(logged[key]) for key, name in METRICS.items() if key in logged}

    def relabel(self) -> None:
        """Gives every transition in the replay buffer the reward of the present version."""
        buffer = self.model.replay_buffer
        assert buffer is not None
        rows = max(1, RELABELLED_STEPS // self.env.num_envs)
        for first in range(0, self._filled, rows):
            part = slice(first, min(first + rows, self._filled))
            action = self.model.policy.unscale_action(buffer.actions[part])
            buffer.rewards[part] = self.reward(buffer.observations[part], action, buffer.rewards[part])

    def refresh(self) -> None:
        """Nothing to do: the library acts with its own parameters."""

    def act(self, observation: np.ndarray, rng: np.random.Generator, *, greedy: bool) -> np.ndarray:
        """Actions of the world for raw observations; a sample follows from ``rng`` alone."""
        return sample_actions(self.model.predict, observation.astype(np.float32), rng, greedy=greedy)

    def state_dict(self) -> dict[str, Any]:
        """Everything, the replay buffer included, but the library's random numbers."""
        buffer = self.model.replay_buffer
        assert buffer is not None
        return {
            "parameters": dict(self.model.get_parameters()),
            "log_ent_coef": self.model.log_ent_coef,
            "timesteps": self.model.num_timesteps,
            "buffer": {name: getattr(buffer, name)[: self._filled] for name in BUFFER_ARRAYS},
            "position": buffer.pos,
            "full": buffer.full,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self.load_policy(state)
        assert self.model.log_ent_coef is not None
        with torch.no_grad():
            self.model.log_ent_coef.copy_(state["log_ent_coef"])
        self.model.num_timesteps = state["timesteps"]
        buffer = self.model.replay_buffer
        assert buffer is not None
        buffer.pos, buffer.full = state["position"], state["full"]
        for name, array in state["buffer"].items():
            getattr(buffer, name)[: len(array)] = array

    def load_policy(self, state: dict[str, Any]) -> None:
        """Acts as the agent of ``state_dict`` does, in any number of environments."""
        self.model.set_parameters(state["parameters"], device=self.model.device)

    @property
    def _filled(self) -> int:
        buffer = self.model.replay_buffer
        assert buffer is not None
        return int(buffer.buffer_size if buffer.full else buffer.pos)

    def _collect(self) -> Rollout:
        self.env.record(self.steps)
        self.model.learn(
            self.steps * self.env.num_envs,
            reset_num_timesteps=False,
            log_interval=None,  # type: ignore[arg-type]
        )
        return self.env.rollout()
