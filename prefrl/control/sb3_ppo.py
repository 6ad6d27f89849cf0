"""Stable-Baselines3's PPO on a reward that is given rollout by rollout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from prefrl.control.acting import OBSERVATION_CLIP
from prefrl.control.config import TrainConfig
from prefrl.control.convolutions import feature_sizes
from prefrl.control.policies import SMALL_LAYERS, SMALL_UNITS, is_image
from prefrl.control.rollouts import Rollout
from prefrl.control.sb3_vec_env import StepReward, VectorEnvAsVecEnv
from prefrl.moments import RewardScaler
from prefrl.schedules import adapt_learning_rate

METRICS = {
    "train/policy_gradient_loss": "policy_loss",
    "train/value_loss": "value_loss",
    "train/approx_kl": "approx_kl",
    "train/clip_fraction": "clip_fraction",
    "train/explained_variance": "explained_variance",
    "train/learning_rate": "learning_rate",
}


class SB3PPO:
    """PPO of Stable-Baselines3, with the settings of PrefRL's own.

    Observations are normalised by its ``VecNormalize``; rewards are scaled as that does, but by one number
    per rollout. While a rollout is collected the library sees the reward 0, so that what stands in its
    buffer afterwards is just what it adds itself, the discounted value where a time limit cut an episode.
    The reward of the whole rollout, by one version of the ensemble, is added to that, and the library
    computes returns and advantages again.

    Args:
        config: ``ppo``, ``policy`` and the rollout's size are used.
        env: the world, not reset yet; it must give the reward 0.
        reward: what to learn from.
        steps: agent steps per environment and rollout.
        device: where its networks live.
    """

    def __init__(
        self,
        config: TrainConfig,
        env: VectorEnvAsVecEnv,
        reward: StepReward,
        *,
        steps: int,
        device: torch.device,
    ) -> None:
        self.config, self.env, self.reward, self.steps = config, env, reward, steps
        self.discrete = not hasattr(env.action_space, "low")
        pixels = is_image(env.observation_space)
        self.normaliser = None if pixels else VecNormalize(env, norm_reward=False, clip_obs=OBSERVATION_CLIP)
        self.scaler = RewardScaler(env.num_envs, discount=config.ppo.discount)
        self.learning_rate = config.ppo.learning_rate
        self._progress = 0.0
        self._last: tuple[Rollout, np.ndarray] | None = None
        self._explored: np.ndarray | None = None
        self.model = PPO(
            "CnnPolicy" if pixels else "MlpPolicy",
            env if self.normaliser is None else self.normaliser,
            policy_kwargs=_cnn_settings(config) if pixels else _mlp_settings(config),
            seed=config.seed,
            device=device,
            **_settings(config, self.scheduled_learning_rate, steps, env.num_envs),
        )
        self.model.set_logger(Logger(None, []))

    def scheduled_learning_rate(self, _remaining: float) -> float:
        """The learning rate now; the library's own idea of progress ends with each rollout."""
        config = self.config.ppo
        if config.target_kl is not None:
            return self.learning_rate
        return self.learning_rate * (1.0 - (1.0 - config.final_learning_rate_fraction) * self._progress)

    def explore(self) -> Rollout:
        """A rollout of the policy as it is, without an update."""
        env = self.model.get_env()
        assert env is not None
        observation = env.reset() if self._explored is None else self._explored
        self.env.record(self.steps)
        for _ in range(self.steps):
            action, _ = self.model.predict(observation, deterministic=False)  # type: ignore[arg-type]
            observation, *_ = env.step(action)
        self._explored = observation  # type: ignore[assignment]
        self.env.hold()
        return self.env.rollout()

    def advance(self, progress: float) -> tuple[Rollout, np.ndarray, dict[str, Any]]:
        """One rollout and one update: the steps, their reward (not scaled) and metrics."""
        self._progress = progress
        self.env.record(self.steps)
        self.model.learn(
            self.steps * self.env.num_envs,
            callback=_AtRolloutEnd(self._relabel),
            reset_num_timesteps=False,
            log_interval=None,  # type: ignore[arg-type]
        )
        assert self._last is not None
        rollout, reward = self._last
        self._last = None
        logged = self.model.logger.name_to_value
        metrics = {name: float(logged[key]) for key, name in METRICS.items()}
        metrics["entropy"] = -float(logged["train/entropy_loss"])
        if (target := self.config.ppo.target_kl) is not None:
            self.learning_rate = adapt_learning_rate(
                self.learning_rate, metrics["approx_kl"], target, maximum=self.config.ppo.max_learning_rate
            )
        return rollout, reward, metrics

    def relabel(self) -> None:
        """Nothing to do: PPO keeps no old steps."""

    def refresh(self) -> None:
        """Nothing to do: the library acts with its own parameters."""

    def act(self, observation: np.ndarray, rng: np.random.Generator, *, greedy: bool) -> np.ndarray:
        """Actions of the world for raw observations; a sample follows from ``rng`` alone."""
        shown = observation if self.normaliser is None else self.normaliser.normalize_obs(observation)
        return sample_actions(self.model.predict, np.asarray(shown), rng, greedy=greedy)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the library's random numbers."""
        moments = None if self.normaliser is None else self.normaliser.obs_rms
        return {
            "parameters": dict(self.model.get_parameters()),
            "timesteps": self.model.num_timesteps,
            "learning_rate": self.learning_rate,
            "scaler": self.scaler.state_dict(),
            "moments": _moments_to_dict(moments),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self.load_policy(state)
        self.model.num_timesteps = state["timesteps"]
        self.learning_rate = state["learning_rate"]
        self.scaler.load_state_dict(state["scaler"])

    def load_policy(self, state: dict[str, Any]) -> None:
        """Acts as the agent of ``state_dict`` does, in any number of environments."""
        self.model.set_parameters(state["parameters"], device=self.model.device)
        if self.normaliser is not None:
            moments: Any = self.normaliser.obs_rms
            moments.mean, moments.var = state["moments"]["mean"], state["moments"]["var"]
            moments.count = state["moments"]["count"]

    def _relabel(self, values: torch.Tensor, dones: np.ndarray) -> None:
        rollout = self.env.rollout()
        reward = self.reward(rollout.observation, rollout.world_action, rollout.true_reward)
        self.scaler.update(reward, rollout.end)
        buffer = self.model.rollout_buffer
        buffer.rewards += self.scaler.normalise(reward).astype(np.float32)
        buffer.compute_returns_and_advantage(last_values=values, dones=dones)
        self._last = rollout, reward


class SmallCNN(NatureCNN):
    """The convolutions of ``policy.pixel_preset small`` in the place of the library's."""

    def __init__(self, observation_space: Box, features_dim: int) -> None:
        super().__init__(observation_space, features_dim)
        layers: list[nn.Module] = []
        channels, height, width = observation_space.shape
        for layer, kernel in feature_sizes(SMALL_LAYERS, (height, width, channels)):
            layers += [nn.Conv2d(channels, layer.filters, kernel, layer.stride), nn.ReLU()]
            channels = layer.filters
        self.cnn = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            size = self.cnn(torch.zeros(1, *observation_space.shape)).shape[1]
        self.linear = nn.Sequential(nn.Linear(size, features_dim), nn.ReLU())


class _AtRolloutEnd(BaseCallback):
    """Calls back with the last values and episode ends, once a rollout is in the buffer."""

    def __init__(self, call: Callable[[torch.Tensor, np.ndarray], None]) -> None:
        super().__init__()
        self.call = call

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.call(self.locals["values"], self.locals["dones"])


def sample_actions(
    predict: Callable[..., tuple[np.ndarray, Any]],
    observation: np.ndarray,
    rng: np.random.Generator,
    *,
    greedy: bool,
) -> np.ndarray:
    """Actions of a library's policy; its global random numbers stay as they were."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(int(rng.integers(2**31)))
        action, _ = predict(observation, deterministic=greedy)
    return action


def _settings(
    config: TrainConfig, learning_rate: Callable[[float], float], steps: int, num_envs: int
) -> dict[str, Any]:
    ppo = config.ppo
    return {
        "learning_rate": learning_rate,
        "n_steps": steps,
        "batch_size": min(ppo.minibatch_size, steps * num_envs),
        "n_epochs": ppo.epochs,
        "gamma": ppo.discount,
        "gae_lambda": ppo.gae_lambda,
        "clip_range": ppo.clip,
        "clip_range_vf": ppo.value_clip,
        "normalize_advantage": ppo.normalise_advantages,
        "ent_coef": ppo.entropy_coefficient,
        "vf_coef": ppo.value_coefficient,
        "max_grad_norm": ppo.max_grad_norm,
    }


def _cnn_settings(config: TrainConfig) -> dict[str, Any]:
    if config.policy.pixel_preset == "nature":
        return {}  # the library's own
    return {"features_extractor_class": SmallCNN, "features_extractor_kwargs": {"features_dim": SMALL_UNITS}}


def _mlp_settings(config: TrainConfig) -> dict[str, Any]:
    return {
        "net_arch": [config.policy.hidden, config.policy.hidden],
        "log_std_init": config.policy.initial_log_std,
    }


def _moments_to_dict(moments: Any) -> dict[str, Any] | None:
    if moments is None:
        return None
    return {"mean": moments.mean.copy(), "var": moments.var.copy(), "count": float(moments.count)}
