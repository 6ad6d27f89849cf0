"""Collecting rollouts: what is recorded of each step, values at the ends of episodes, resuming."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv

from prefrl.control.acting import Actor
from prefrl.control.policies import make_policy
from prefrl.control.rollouts import Collector, Episodes, Rollout
from prefrl.moments import RunningMoments

ENVS = 3
ENDS = {2: ("terminated",), 4: ("truncated",), 6: ("terminated", "truncated")}
"""What happens to environment 1 in these steps; it begins a new episode then."""


class Script(VectorEnv):
    """Observations tell their environment, episode and step; environment 1 ends as ``ENDS`` says."""

    num_envs = ENVS
    single_observation_space = Box(-np.inf, np.inf, (3,))
    single_action_space = Discrete(2, start=5)
    exact = True

    def __init__(self) -> None:
        self.time = 0
        self.episode = np.zeros(ENVS, dtype=np.int64)
        self.step_in_episode = np.zeros(ENVS, dtype=np.int64)
        self.taken: list[np.ndarray] = []
        self.bad_reward = 0.0

    def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self.step_in_episode[:] = 0
        return self._observation(), self._infos()

    def step(self, actions: np.ndarray) -> tuple[Any, ...]:
        self.taken.append(actions)
        ends = ENDS.get(self.time, ())
        terminated = np.array([False, "terminated" in ends, False])
        truncated = np.array([False, "truncated" in ends, False])
        self.step_in_episode += 1
        final, done = self._observation(), terminated | truncated
        self.episode[done] += 1
        self.step_in_episode[done] = 0
        reward = self.time + np.arange(ENVS) / 10 + self.bad_reward
        self.time += 1
        infos = self._infos() | {"score": 2 * reward, "episode_end": done}
        if done.any():
            infos |= {"final_obs": final, "_final_obs": done}
        return self._observation(), reward, terminated, truncated, infos

    def get_state(self) -> dict[str, np.ndarray]:
        own = {"time": np.array(self.time), "episode": self.episode, "step": self.step_in_episode}
        return {name: array.copy() for name, array in own.items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.time = int(state["time"])
        self.episode, self.step_in_episode = state["episode"].copy(), state["step"].copy()

    def _observation(self) -> np.ndarray:
        return np.stack([np.arange(ENVS), self.episode, self.step_in_episode], 1).astype(np.float64)

    def _infos(self) -> dict[str, Any]:
        return {
            "episode_seed": 100 * np.arange(ENVS) + self.episode,
            "episode_step": self.step_in_episode.copy(),
            "state": self._observation(),
        }


def a_collector(env: Script | None = None, *, seed: int = 0) -> Collector:
    env = env or Script()
    torch.manual_seed(0)
    policy = make_policy(env.single_observation_space, env.single_action_space)
    moments = RunningMoments((3,))
    moments.update(np.random.default_rng(0).normal(2.0, 3.0, (30, 3)))
    return Collector(env, Actor(policy, moments, torch.device("cpu")), np.random.default_rng(seed))


def values(collector: Collector, observation: np.ndarray) -> np.ndarray:
    return collector.actor.values(np.asarray(observation, np.float64))


def test_each_row_holds_what_belongs_to_the_step_taken_there() -> None:
    collector = a_collector()
    rollout = collector.collect_rollout(8)
    assert (rollout.shape, rollout.steps) == ((8, ENVS), 24)
    assert rollout.observation.dtype == np.float32
    assert rollout.observation[:, 1, 1:].tolist() == [
        [0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [2, 0], [2, 1], [3, 0],
    ]  # fmt: skip
    assert rollout.state is not None
    np.testing.assert_array_equal(rollout.state, rollout.observation)
    np.testing.assert_array_equal(rollout.episode_seed, 100 * np.arange(ENVS) + rollout.observation[..., 1])
    np.testing.assert_array_equal(rollout.episode_step, rollout.observation[..., 2])
    np.testing.assert_allclose(rollout.true_reward, np.arange(8)[:, None] + np.arange(ENVS) / 10)
    np.testing.assert_allclose(rollout.score, 2 * rollout.true_reward)
    np.testing.assert_array_equal(rollout.world_action, rollout.action + 5)
    env = collector.env
    assert isinstance(env, Script)
    np.testing.assert_array_equal(rollout.world_action, np.stack(env.taken))
    expected = np.stack([values(collector, row) for row in rollout.observation])
    np.testing.assert_allclose(rollout.value, expected)


def test_the_next_value_is_zero_after_a_termination_and_the_final_ones_after_a_truncation() -> None:
    collector = a_collector()
    rollout = collector.collect_rollout(8)
    expected = np.concatenate([rollout.value[1:], values(collector, collector.observation)[None]])
    expected[2, 1] = 0.0
    expected[4, 1] = values(collector, [[1.0, 1.0, 2.0]])[0]
    # Terminated and truncated at once: it is over, and there is nothing to bootstrap from.
    expected[6, 1] = 0.0
    np.testing.assert_allclose(rollout.next_value, expected, rtol=1e-6)
    assert np.argwhere(rollout.terminated).tolist() == [[2, 1], [6, 1]]
    assert np.argwhere(rollout.end).tolist() == [[2, 1], [4, 1], [6, 1]]
    np.testing.assert_array_equal(rollout.end, rollout.episode_end)


def test_rollouts_follow_on_one_another_and_do_not_share_memory() -> None:
    whole, collector = a_collector().collect_rollout(8), a_collector()
    first = collector.collect_rollout(3)
    kept = first.observation.copy()
    second = collector.collect_rollout(5)
    np.testing.assert_array_equal(first.observation, kept)
    for name in ("observation", "action", "log_prob", "value", "next_value", "true_reward", "episode_seed"):
        joined = np.concatenate([getattr(first, name), getattr(second, name)])
        np.testing.assert_allclose(joined, getattr(whole, name), rtol=1e-6)


def test_finished_episodes_are_counted_with_their_score_and_length() -> None:
    collector = a_collector()
    rollout = collector.collect_rollout(8)
    score = rollout.score[:, 1]
    expected = [(score[:3].sum(), 3), (score[3:5].sum(), 2), (score[5:7].sum(), 2)]
    assert list(collector.episodes.finished) == [pytest.approx(episode) for episode in expected]
    assert collector.episodes.mean_return(2) == pytest.approx((expected[1][0] + expected[2][0]) / 2)
    assert collector.episodes.mean_length(10) == pytest.approx(7 / 3)
    whole = rollout.score.sum(0)
    np.testing.assert_allclose(collector.episodes.running, [whole[0], score[7], whole[2]])


def test_before_the_first_episode_is_over_there_is_no_mean() -> None:
    episodes = Episodes(ENVS)
    assert episodes.mean_return(10) is None
    assert episodes.mean_length(10) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_true_reward_that_is_not_finite_is_an_error(bad: float) -> None:
    env = Script()
    env.bad_reward = bad
    with pytest.raises(FloatingPointError, match="the world gave a true reward that is not finite"):
        a_collector(env).collect_rollout(2)


def equal(left: Rollout, right: Rollout) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in vars(left))


def test_a_resumed_collector_goes_on_exactly_as_the_one_saved() -> None:
    straight, resumed = a_collector(), a_collector(seed=9)
    straight.collect_rollout(4)
    resumed.load_state_dict(straight.state_dict())
    assert equal(straight.collect_rollout(6), resumed.collect_rollout(6))
    assert list(resumed.episodes.finished) == list(straight.episodes.finished)


def test_a_world_that_cannot_be_saved_begins_new_episodes() -> None:
    straight, other = a_collector(), Script()
    straight.env.exact = other.exact = False  # type: ignore[attr-defined]
    straight.collect_rollout(4)
    resumed = a_collector(other)
    resumed.load_state_dict(straight.state_dict())
    assert list(resumed.episodes.finished) == list(straight.episodes.finished)
    assert not resumed.episodes.running.any()
    assert not resumed.episodes.steps.any()
    assert not resumed.infos["episode_step"].any()
