"""Our worlds as Stable-Baselines3 sees vector environments, recorded on the way.

The agent learns through ``infos`` what that library wants to know (final observations, time limits); what a
preference learner wants to know is recorded here, where observations are raw and actions are those that
happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env import VecEnv

from prefrl.control.acting import Decision
from prefrl.control.rollouts import LASTING_INFOS, Episodes, Recorder, Rollout
from prefrl.errors import UsageError

StepReward = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(observation, world action, true reward) of steps ``[...]`` to what the agent learns from, ``[...]``."""


class VectorEnvAsVecEnv(VecEnv):
    """A world of ours, or any vector environment with its infos, as a Stable-Baselines3 ``VecEnv``.

    Args:
        env: with same-step resets.
        reward: what the agent is given for each step; None for the true reward.

    Raises:
        UsageError: the environment resets differently.
    """

    def __init__(self, env: VectorEnv, *, reward: StepReward | None = None) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise UsageError(f"autoreset_mode is {mode}: make the vector environment with SAME_STEP")
        self.env = env
        self.episodes = Episodes(env.num_envs)
        self._reward = reward
        space = env.single_observation_space
        super().__init__(env.num_envs, _single_precision(space), env.single_action_space)
        self._recorder: Recorder | None = None
        self._recorded = 0
        self._held = False
        self._observation: np.ndarray | None = None
        self._infos: dict[str, Any] = {}
        self._actions: np.ndarray | None = None

    def record(self, steps: int) -> None:
        """Records the next ``steps`` steps, from scratch."""
        self._recorder, self._recorded, self._length = Recorder(steps, self.num_envs), 0, steps

    def rollout(self) -> Rollout:
        """What was recorded; what only PrefRL's own PPO needs (log-probabilities, values) is zero."""
        assert self._recorder is not None, "call record first"
        assert self._recorded == self._length, f"{self._recorded} of {self._length} steps are recorded"
        rollout = self._recorder.rollout(np.zeros(self.num_envs, dtype=np.float32))
        self._recorder = None
        return rollout

    def hold(self) -> None:
        """Lets the next ``reset`` return the present observation and leave its episodes open."""
        self._held = self._observation is not None

    def reset(self) -> np.ndarray:
        """Opens the next episode everywhere, or goes on with the open ones after ``hold``."""
        if not self._held:
            self._observation, self._infos = self.env.reset(seed=self._seeds[0])
            self.episodes.running[:], self.episodes.steps[:] = 0.0, 0
        self._held = False
        self._reset_seeds()
        assert self._observation is not None
        return self._shown(self._observation)

    def step_async(self, actions: np.ndarray) -> None:
        """Takes the actions; ``step_wait`` gives what came of them."""
        self._actions = np.array(actions)

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One step everywhere, in the form of Stable-Baselines3."""
        observation, actions = self._observation, self._actions
        assert observation is not None, "call reset first"
        assert actions is not None, "call step_async first"
        before = self._infos
        self._observation, true_reward, terminated, truncated, infos = self.env.step(actions)
        self._infos = infos
        if self._recorder is not None and self._recorded < self._length:
            nothing = np.zeros(self.num_envs, dtype=np.float32)
            decision = Decision(actions, nothing, nothing)
            self._recorder.before(self._recorded, observation, decision, actions, before)
            self._recorder.after(self._recorded, true_reward, terminated, truncated, infos)
            self._recorded += 1
        self.episodes.add(infos["score"], infos["episode_end"])
        reward = true_reward if self._reward is None else self._reward(observation, actions, true_reward)
        # A copy: Stable-Baselines3 adds the values of cut episodes to the very array that it is given.
        given = np.array(reward, dtype=np.float32)
        done, told = terminated | truncated, self._told(terminated, truncated)
        return self._shown(self._observation), given, done, told

    def state_dict(self) -> dict[str, Any]:
        """The world and what it last showed; no world where it cannot be saved."""
        exact = bool(getattr(self.env, "exact", False))
        return {
            "env": self.env.get_state() if exact else None,  # type: ignore[attr-defined]
            "observation": self._observation,
            "infos": {name: self._infos[name] for name in LASTING_INFOS if name in self._infos},
            "episodes": self.episodes.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``; a world that cannot be restored begins new episodes instead."""
        if state["env"] is None or state["observation"] is None:
            self.episodes.finished = type(self.episodes.finished)(
                map(tuple, state["episodes"]["finished"].tolist()), maxlen=self.episodes.finished.maxlen
            )
            return
        self.episodes.load_state_dict(state["episodes"])
        self.env.set_state(state["env"])  # type: ignore[attr-defined]
        self._observation, self._infos = state["observation"], dict(state["infos"])
        self.hold()

    def close(self) -> None:
        """Closes the world."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: int | Iterable[int] | None = None) -> list[Any]:
        """The attribute of the whole batch, once for each index."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None) -> None:
        """Sets an attribute of the whole batch; it has no single environments."""
        if indices is not None:
            raise UsageError(f"{attr_name} can only be set for all environments: leave out indices")
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of the whole batch once; its result once for each index."""
        result = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:  # noqa: ARG002
        """No: a batch has no single environments that could be."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """No pictures: clips are drawn from what a run has kept."""
        return [None] * self.num_envs

    def _shown(self, observation: np.ndarray) -> np.ndarray:
        return observation.astype(self.observation_space.dtype, copy=True)

    def _told(self, terminated: np.ndarray, truncated: np.ndarray) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(terminated | truncated):
            final = np.asarray(self._infos["final_obs"][i], dtype=self.observation_space.dtype)
            told[i]["terminal_observation"] = final
            told[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        return told


def _single_precision(space: Space) -> Space:
    """The library's buffers keep the space's type: half the memory, and its networks are float32 anyway."""
    if isinstance(space, Box) and space.dtype == np.float64:
        return Box(space.low.astype(np.float32), space.high.astype(np.float32), dtype=np.float32)
    return space
