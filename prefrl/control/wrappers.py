"""The learned reward in place of an environment's own, for a user's script: Gymnasium wrappers.

```python
env = gymnasium.make_vec("HalfCheetah-v5", num_envs=8)
env = LearnedRewardVectorWrapper(env, "runs/half-cheetah")
observation, infos = env.reset()
observation, learned_reward, terminated, truncated, infos = env.step(env.action_space.sample())
infos["true_reward"]
```

A wrapper keeps one version of the reward until ``reload`` is called, also while the run that fits it goes on.
The reward network was fitted on raw observations of its own world: put the wrapper inside of any that
normalises observations, and give a game's frames as that world does (84x84, four stacked, score blanked).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper

from prefrl.control.layouts import Layout
from prefrl.control.reward_files import load_reward_model
from prefrl.control.reward_model import RewardModel
from prefrl.errors import UsageError

RewardSource = RewardModel | str | Path
"""A reward model, its file, or the folder of the run that it was learned in."""


class FrozenReward:
    """One version of a learned reward, for steps of an environment with these spaces.

    Frames may come as [height, width, channels], as our worlds give them, or channels first, as Gymnasium's
    frame stacks do. Continuous actions are clipped to their bounds, as simulators do.

    Raises:
        UsageError: the model cannot be read, or the spaces are not those that it was fitted on.
    """

    def __init__(
        self,
        source: RewardSource,
        observation_space: Space,
        action_space: Space,
        *,
        device: str | torch.device = "cpu",
    ) -> None:
        self._source, self._device = source, device
        self._spaces = observation_space, action_space
        self.reload()

    @property
    def version(self) -> int:
        """Fits of the ensemble that this version has behind it."""
        return self._model.version

    def reload(self) -> int:
        """Takes over what the file holds now, or the model as it is now; returns its version."""
        if isinstance(self._source, RewardModel):
            fresh = RewardModel(copy.deepcopy(self._source.ensemble), self._source.layout)
        else:
            fresh = load_reward_model(self._source, device=self._device)
        self._channels_first = _check_spaces(fresh.layout, *self._spaces)
        self._model = fresh
        return self.version

    def __call__(self, observation: np.ndarray, action: np.ndarray) -> np.ndarray:
        """The learned reward ``[steps]``, float64, of ``[steps, ...]`` observations and actions."""
        observation, action = np.asarray(observation), np.asarray(action)
        if self._channels_first:
            observation = np.moveaxis(observation, 1, -1)
        space = self._spaces[1]
        if isinstance(space, Box):
            action = np.clip(action, space.low, space.high).reshape(len(observation), -1)
        elif isinstance(space, Discrete):
            action = action.reshape(len(observation)) - int(space.start) + self._model.layout.action_start
        return self._model.predict(observation, action).astype(np.float64)


class LearnedRewardVectorWrapper(VectorWrapper):
    """A Gymnasium vector environment with a learned reward; the true one is in ``infos["true_reward"]``.

    The step that only resets (NEXT_STEP autoreset) keeps the reward 0.

    Args:
        env: any vector environment with the spaces that the reward was learned on.
        reward: a reward model, its file, or the run folder that holds one.
        device: where its networks shall live.

    Raises:
        UsageError: the model cannot be read or does not fit the environment.
    """

    def __init__(self, env: VectorEnv, reward: RewardSource, *, device: str | torch.device = "cpu") -> None:
        super().__init__(env)
        spaces = env.single_observation_space, env.single_action_space
        self._reward = FrozenReward(reward, *spaces, device=device)
        self._resets_in_a_step = env.metadata.get("autoreset_mode") == AutoresetMode.NEXT_STEP
        self._ended = np.zeros(env.num_envs, dtype=bool)
        self._observation: np.ndarray | None = None

    @property
    def reward_version(self) -> int:
        """Fits behind the reward in use."""
        return self._reward.version

    def reload(self) -> int:
        """Takes over the newest version of the reward; returns its number."""
        return self._reward.reload()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Opens new episodes; with ``options["reset_mask"]`` only there."""
        mask = None if options is None else options.get("reset_mask")
        if mask is None:
            self._ended[:] = False
        else:
            self._ended[mask] = False
        observation, infos = self.env.reset(seed=seed, options=options)
        self._observation = np.array(observation)
        return observation, infos

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One step, rewarded for what was done where it was done."""
        assert self._observation is not None, "call reset first"
        learned = self._reward(self._observation, actions)
        observation, true_reward, terminated, truncated, infos = self.env.step(actions)
        if self._resets_in_a_step:
            learned[self._ended] = 0.0
            self._ended = terminated | truncated
        # Copied: an environment may hand out one array again and again.
        self._observation = np.array(observation)
        true = {"true_reward": np.array(true_reward), "_true_reward": np.ones(self.num_envs, dtype=bool)}
        return observation, learned, terminated, truncated, infos | true


class LearnedRewardWrapper(gymnasium.Wrapper):
    """A single Gymnasium environment with a learned reward; the true one is in ``info["true_reward"]``.

    Args:
        env: any environment with the spaces that the reward was learned on.
        reward: a reward model, its file, or the run folder that holds one.
        device: where its networks shall live.

    Raises:
        UsageError: the model cannot be read or does not fit the environment.
    """

    def __init__(
        self, env: gymnasium.Env, reward: RewardSource, *, device: str | torch.device = "cpu"
    ) -> None:
        super().__init__(env)
        self._reward = FrozenReward(reward, env.observation_space, env.action_space, device=device)
        self._observation: np.ndarray | None = None

    @property
    def reward_version(self) -> int:
        """Fits behind the reward in use."""
        return self._reward.version

    def reload(self) -> int:
        """Takes over the newest version of the reward; returns its number."""
        return self._reward.reload()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Opens a new episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._observation = np.array(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step, rewarded for what was done where it was done."""
        assert self._observation is not None, "call reset first"
        learned = float(self._reward(self._observation[None], np.asarray(action)[None])[0])
        observation, true_reward, terminated, truncated, info = self.env.step(action)
        self._observation = np.array(observation)
        return observation, learned, terminated, truncated, info | {"true_reward": float(true_reward)}


def _check_spaces(layout: Layout, observation_space: Space, action_space: Space) -> bool:
    """Whether frames come channels first, once everything else is as the model was fitted on."""
    if layout.kind != "features":
        height, width, channels = layout.shape
        is_bytes = isinstance(observation_space, Box) and observation_space.dtype == np.uint8
        if not is_bytes or observation_space.shape not in (layout.shape, (channels, height, width)):
            raise UsageError(
                f"the reward was learned from frames {layout.shape} of bytes, the environment gives "
                f"{observation_space}: wrap it so that it gives the same"
            )
        return observation_space.shape != layout.shape
    numbers = int(np.prod(observation_space.shape or (1,)))
    actions = int(action_space.n) if isinstance(action_space, Discrete) else 0
    width = actions or int(np.prod(action_space.shape or (1,)))
    if actions != layout.actions or numbers + width != layout.shape[0]:
        raise UsageError(
            f"the reward was learned from {layout.shape[0]} numbers of observation and action "
            f"({layout.actions} discrete actions), the environment has {observation_space} and "
            f"{action_space}: wrap the task that the reward was learned on"
        )
    return False
