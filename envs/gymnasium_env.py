"""Any Gymnasium environment as a world: a foreign id, or a vector environment that a user made."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.checks import check_opened, check_reset, check_shape
from envs.episodes import Episodes, State
from envs.errors import WorldError
from envs.tasks import unknown_task

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def make_gymnasium_env(
    task: str, num_envs: int, seed: int, *, horizon: int | None = None
) -> "AdaptedVectorEnv":
    """Make a foreign Gymnasium id, one environment after another in this process.

    Raises:
        WorldError: the id is unknown, needs a package that is missing, or has spaces that we do not serve.
    """
    if task.startswith("ALE/"):
        import ale_py

        gymnasium.register_envs(ale_py)
    limits: dict[str, Any] = {} if horizon is None else {"max_episode_steps": horizon}
    try:
        env = gymnasium.make_vec(
            task, num_envs, "sync", vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}, **limits
        )
    except gymnasium.error.DependencyNotInstalled as error:
        raise WorldError(f"{task} cannot be made: {error}") from error
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise unknown_task(task, others=tuple(gymnasium.registry)) from error
    return adapt_vector_env(env, task=task, seed=seed)


def adapt_vector_env(env: VectorEnv, *, task: str, seed: int = 0) -> "AdaptedVectorEnv":
    """Make a world of a vector environment of your own.

    Args:
        env: with SAME_STEP autoreset; Discrete or one-dimensional Box actions; Box observations, vectors or
            images [height, width, channels].
        task: a name for the run's records.
        seed: of its first reset.

    Raises:
        WorldError: it resets differently, or has other spaces; the message says what to change.
    """
    mode = env.metadata.get("autoreset_mode")
    if mode != AutoresetMode.SAME_STEP:
        raise WorldError(
            f"{task} has autoreset_mode {getattr(mode, 'name', mode)}: make it with SAME_STEP, as in "
            'gymnasium.make_vec(id, num_envs, vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP})'
        )
    _check_observations(env.single_observation_space, task)
    _check_actions(env.single_action_space, task)
    return AdaptedVectorEnv(env, task=task, seed=seed)


class AdaptedVectorEnv(VectorEnv):
    """A Gymnasium vector environment under our contract of infos; its score is its reward.

    Its simulator's state cannot be saved: a restored run counts on from the same episode, and opens new ones.
    """

    exact = False
    score_name = "return"
    reward_form = "native"

    def __init__(self, env: VectorEnv, *, task: str, seed: int) -> None:
        self._env = env
        self._episodes = Episodes(seed, env.num_envs)
        self._first_discrete = 0
        self._seeded = False
        self.task, self.num_envs, self.metadata = task, env.num_envs, env.metadata
        self.single_observation_space = env.single_observation_space
        self.single_action_space = env.single_action_space
        if isinstance(self.single_action_space, Discrete):
            self._first_discrete = int(self.single_action_space.start)
            self.single_action_space = Discrete(self.single_action_space.n)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Open the next episode everywhere; the environment itself is seeded at the first reset only."""
        check_reset(self.task, seed, None)
        if isinstance(seed, int):
            self._episodes.reseed(seed)
        seeds = self._episodes.begin(np.arange(self.num_envs))
        own_seed = int(seeds[0]) if seed is not None or not self._seeded else None
        observation, _ = self._env.reset(seed=own_seed, options=options)
        self._seeded = True
        return np.array(observation), self._episodes.infos()

    def step(self, actions: NDArray[Any]) -> tuple[NDArray[Any], Floats, Bools, Bools, dict[str, Any]]:
        """Take one step everywhere; an episode that ends is followed by the next in the same call."""
        actions = np.asarray(actions)
        check_opened(self.task, self._episodes.seeds)
        check_shape(self.task, actions, self.action_space.shape)
        if isinstance(self.single_action_space, Discrete):
            actions = actions + self._first_discrete
        observation, reward, terminated, truncated, told = self._env.step(actions)
        observation, reward = np.array(observation), np.array(reward, np.float64)
        terminated, truncated = np.array(terminated, np.bool_), np.array(truncated, np.bool_)
        ended = terminated | truncated
        self._episodes.steps += 1
        infos: dict[str, Any] = {"score": reward.copy(), "episode_end": ended}
        if ended.any():
            last = self._final_observation(observation, ended, told)
            infos |= {"final_obs": last, "_final_obs": ended.copy()}
            self._episodes.begin(np.flatnonzero(ended))
        return observation, reward, terminated, truncated, infos | self._episodes.infos()

    def get_state(self) -> State:
        """Return the counters of episodes; the simulator's own state cannot be had (`exact` is False)."""
        return self._episodes.get_state()

    def set_state(self, state: State) -> None:
        """Count on from a state of `get_state`; call reset next, which opens new episodes, seeded anew."""
        self._episodes.set_state(state)
        self._seeded = False

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environment."""
        self._env.close(**kwargs)

    def _final_observation(
        self, observation: NDArray[Any], ended: Bools, told: dict[str, Any]
    ) -> NDArray[Any]:
        if "final_obs" not in told:
            raise WorldError(
                f"{self.task} ended an episode without final_obs in its infos: SAME_STEP means that"
            )
        last = observation.copy()
        for i in np.flatnonzero(ended):
            last[i] = told["final_obs"][i]
        return last


def _check_observations(space: gymnasium.Space[Any], task: str) -> None:
    if not isinstance(space, Box) or len(space.shape) not in (1, 3):
        raise WorldError(
            f"{task} observes {space}: we serve vectors and images [height, width, channels]; "
            "wrap it with gymnasium.wrappers.FlattenObservation"
        )


def _check_actions(space: gymnasium.Space[Any], task: str) -> None:
    flat = isinstance(space, Box) and len(space.shape) == 1 and np.issubdtype(space.dtype, np.floating)
    if not flat and not isinstance(space, Discrete):
        raise WorldError(
            f"{task} takes actions of {space}: we serve Discrete, and Box of floats in one dimension"
        )
