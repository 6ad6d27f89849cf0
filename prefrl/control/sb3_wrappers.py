"""The learned reward in a user's own Stable-Baselines3 script.

```python
env = LearnedRewardVecEnv(make_vec_env("HalfCheetah-v5", n_envs=8), "runs/half-cheetah")
PPO("MlpPolicy", VecNormalize(env)).learn(1_000_000)
```
"""

from __future__ import annotations

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from prefrl.control.wrappers import FrozenReward, RewardSource
from prefrl.errors import UsageError


class LearnedRewardVecEnv(VecEnvWrapper):
    """A Stable-Baselines3 ``VecEnv`` with a learned reward; the true one is in each ``info["true_reward"]``.

    It keeps one version of the reward until ``reload`` is called. Put it inside of ``VecNormalize``: the
    reward network takes raw observations.

    Args:
        venv: any ``VecEnv`` with the spaces that the reward was learned on.
        reward: a reward model, its file, or the run folder that holds one.
        device: where its networks shall live.

    Raises:
        UsageError: the model cannot be read or does not fit, or ``venv`` normalises observations already.
    """

    def __init__(self, venv: VecEnv, reward: RewardSource, *, device: str | torch.device = "cpu") -> None:
        _check_raw(venv)
        super().__init__(venv)
        self._reward = FrozenReward(reward, venv.observation_space, venv.action_space, device=device)
        self._observation: np.ndarray | None = None
        self._actions: np.ndarray | None = None

    @property
    def reward_version(self) -> int:
        """Fits behind the reward in use."""
        return self._reward.version

    def reload(self) -> int:
        """Takes over the newest version of the reward; returns its number."""
        return self._reward.reload()

    def reset(self) -> VecEnvObs:
        """Opens new episodes everywhere."""
        observation = self.venv.reset()
        self._observation = np.array(observation)
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        """Takes the actions; ``step_wait`` gives what came of them."""
        self._actions = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """One step, rewarded for what was done where it was done."""
        assert self._observation is not None, "call reset first"
        assert self._actions is not None, "call step_async first"
        learned = self._reward(self._observation, self._actions).astype(np.float32)
        observation, true_reward, done, infos = self.venv.step_wait()
        self._observation = np.array(observation)
        told = [info | {"true_reward": float(true)} for info, true in zip(infos, true_reward, strict=True)]
        return observation, learned, done, told


def _check_raw(venv: VecEnv) -> None:
    inner: VecEnv | None = venv
    while inner is not None:
        if isinstance(inner, VecNormalize) and inner.norm_obs:
            raise UsageError(
                "LearnedRewardVecEnv needs raw observations: put it inside of VecNormalize, not around it"
            )
        inner = inner.venv if isinstance(inner, VecEnvWrapper) else None
