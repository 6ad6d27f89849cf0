"""A Gymnasium VectorEnv over `mujoco.batch.Batch`: one call steps all environments on native threads."""

import warnings
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.checks import check_opened, check_reset, check_shape
from envs.episodes import Episodes, State
from envs.errors import WorldError
from envs.mujoco_batch import Simulations
from envs.mujoco_tasks import MUJOCO_TASKS
from envs.mujoco_terms import Bools, Floats, Transition

Step = tuple[Floats, Floats, Bools, Bools, dict[str, Any]]


class MujocoVectorEnv(VectorEnv):
    """One of the paper's eight tasks, in the paper's reward form or in Gymnasium's own.

    Paper form: fixed horizon, no terminations. Native form: observations, rewards and terminations of
    Gymnasium's v5 environment. An episode starts as Gymnasium's does after `reset(seed=episode_seed)`.
    MuJoCo clips actions to the control range; native costs are those of the action as given, as in Gymnasium.
    A simulation that fails ends its episode by truncation with reward 0, and a warning says so.
    """

    exact = True
    score_name = "return"

    def __init__(
        self,
        task: str,
        num_envs: int,
        seed: int,
        *,
        reward_form: str = "paper",
        num_threads: int = 0,
        horizon: int | None = None,
    ) -> None:
        self._task = MUJOCO_TASKS[task]
        self._form = self._task.native if reward_form == "native" else self._task.paper
        self._horizon = self._form.horizon if horizon is None else horizon
        fields = self._task.fields + self._form.fields
        self._simulations = Simulations(self._task, num_envs, fields=fields, num_threads=num_threads)
        self._physics = self._simulations.physics
        self._episodes = Episodes(seed, num_envs)
        self._everywhere = np.arange(num_envs)
        self._position = self._positions()
        self._observation = self._form.observe(self._physics)
        self.task, self.reward_form, self.num_envs = task, reward_form, num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = Box(-np.inf, np.inf, self._observation.shape[1:], np.float64)
        low, high = self._simulations.model.actuator_ctrlrange.T.astype(np.float32)
        self.single_action_space = Box(low, high, dtype=np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Open the next episode everywhere; with a seed, count episodes from the first one of that seed."""
        check_reset(self.task, seed, options)
        if isinstance(seed, int):
            self._episodes.reseed(seed)
        self._begin_episodes(self._everywhere)
        self._observation = self._form.observe(self._physics)
        return self._observation.copy(), self._infos()

    def step(self, actions: NDArray[np.floating]) -> Step:
        """Take one step everywhere; an episode that ends is followed by the next in the same call.

        Raises:
            WorldError: the actions have another shape or are not finite, or nothing was reset before.
        """
        actions = self._checked(actions)
        failed = self._simulations.step(actions)
        before, self._position = self._position, self._positions()
        velocity = (self._position - before) / self._simulations.step_seconds
        observation = self._form.observe(self._physics)
        reward = self._form.reward(Transition(self._physics, velocity, actions))
        terminated = self._form.falls(self._physics)
        self._episodes.steps += 1
        truncated = self._episodes.steps >= self._horizon
        if failed.any():
            _warn_of_failures(self._episodes.seeds[failed], self.task)
            observation[failed] = self._observation[failed]
            reward[failed], terminated[failed], truncated[failed] = 0.0, False, True
        ended = terminated | truncated
        infos = {"score": reward.copy(), "episode_end": ended}
        if ended.any():
            infos |= {"final_obs": observation, "_final_obs": ended.copy()}
            self._begin_episodes(np.flatnonzero(ended))
            observation = np.where(ended[:, None], self._form.observe(self._physics), observation)
        self._observation = observation
        return observation.copy(), reward, terminated, truncated, infos | self._infos()

    def get_state(self) -> State:
        """Return everything that is needed to continue bit for bit, as arrays."""
        own = {"rows": self._simulations.rows, "position": self._position, "observation": self._observation}
        return self._episodes.get_state() | {name: array.copy() for name, array in own.items()}

    def set_state(self, state: State) -> None:
        """Continue from a state of `get_state`, under any number of threads.

        Raises:
            WorldError: the state is of another task, form or number of environments.
        """
        own = {"rows": self._simulations.rows, "position": self._position, "observation": self._observation}
        if any(state[name].shape[1:] != array.shape[1:] for name, array in own.items()):
            raise WorldError(f"the saved state is not one of {self.task} in the {self.reward_form} form")
        self._episodes.set_state(state)
        for name, array in own.items():
            array[:] = state[name]

    def _begin_episodes(self, environments: NDArray[np.integer]) -> None:
        seeds = self._episodes.begin(environments)
        rest = self._simulations.qpos0, self._simulations.qvel0
        first = [self._task.start(np.random.Generator(np.random.PCG64(int(seed))), *rest) for seed in seeds]
        qpos, qvel = zip(*first, strict=True)
        self._simulations.reset(environments, np.array(qpos), np.array(qvel))
        self._position = self._positions()

    def _positions(self) -> Floats:
        if self._task.position is None:
            return np.zeros(len(self._everywhere))
        return self._task.position(self._physics).copy()

    def _infos(self) -> dict[str, Any]:
        return {**self._episodes.infos(), "state": self._simulations.states()}

    def _checked(self, actions: NDArray[np.floating]) -> NDArray[np.floating]:
        check_opened(self.task, self._episodes.seeds)
        actions = np.asarray(actions)
        if actions.dtype not in (np.float32, np.float64):
            actions = actions.astype(np.float32)
        check_shape(self.task, actions, self.action_space.shape)
        if not np.isfinite(actions).all():
            raise WorldError(f"an action of {self.task} is not finite: look for NaN in the policy")
        return actions


def _warn_of_failures(seeds: NDArray[np.int64], task: str) -> None:
    which = ", ".join(str(seed) for seed in seeds[:5]) + (", ..." if len(seeds) > 5 else "")
    text = f"{len(seeds)} simulation(s) of {task} became unstable; their episodes (seeds {which}) end here"
    warnings.warn(text, RuntimeWarning, stacklevel=3)
