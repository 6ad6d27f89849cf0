"""The learned reward as Gymnasium and Stable-Baselines3 wrappers around a user's own environments."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import FrameStackObservation
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from envs import make_vector_env
from prefrl.control.build import make_ensemble, make_layout
from prefrl.control.config import RewardConfig
from prefrl.control.layouts import Layout, layout_of
from prefrl.control.reward_files import save_reward_model
from prefrl.control.reward_model import RewardModel
from prefrl.control.sb3_wrappers import LearnedRewardVecEnv
from prefrl.control.wrappers import LearnedRewardVectorWrapper, LearnedRewardWrapper
from prefrl.errors import UsageError

CONFIG = RewardConfig(members=2, hidden=8, pixel_preset="small")


def a_model(layout: Layout, *, seed: int = 0) -> RewardModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RewardModel(make_ensemble(layout, CONFIG, torch.device("cpu")).eval(), layout)


def layout_for(env: gymnasium.Env) -> Layout:
    return layout_of(env.observation_space, env.action_space, stacked_frames=True)


class Frames(gymnasium.Env):
    """Frames of noise, 20 by 20, ever brighter; an episode has three steps."""

    observation_space = Box(0, 255, (20, 20), np.uint8)
    action_space = Discrete(2, start=1)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed, options=options)
        self.steps = 0
        return self._frame(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert action in (1, 2)
        self.steps += 1
        return self._frame(), 1.0, self.steps == 3, False, {}

    def _frame(self) -> np.ndarray:
        return self.np_random.integers(50 * self.steps, 50 * self.steps + 50, (20, 20), dtype=np.uint8)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_vector_wrapper_rewards_each_step_where_it_was_taken(mode: AutoresetMode) -> None:
    def make() -> VectorEnv:
        return gymnasium.make_vec("CartPole-v1", 3, "sync", vector_kwargs={"autoreset_mode": mode})

    plain, inner = make(), make()
    model = a_model(make_layout(plain))
    wrapped = LearnedRewardVectorWrapper(inner, model)
    observation, _ = plain.reset(seed=1)
    again, _ = wrapped.reset(seed=1)
    rng, ended, resets = np.random.default_rng(0), np.zeros(3, dtype=bool), 0
    for _ in range(60):
        np.testing.assert_array_equal(observation, again)
        actions = rng.integers(0, 2, 3)
        expected = model.predict(observation, actions)
        if mode == AutoresetMode.NEXT_STEP:
            expected[ended] = 0.0
        observation, true, terminated, truncated, _ = plain.step(actions)
        again, learned, *_, infos = wrapped.step(actions)
        np.testing.assert_allclose(learned, expected, rtol=1e-6)
        np.testing.assert_array_equal(infos["true_reward"], true)
        ended = terminated | truncated
        if mode == AutoresetMode.DISABLED and ended.any():
            observation, _ = plain.reset(seed=[2, 2, 2], options={"reset_mask": ended})
            again, _ = wrapped.reset(seed=[2, 2, 2], options={"reset_mask": ended.copy()})
        resets += int(ended.sum())
    assert resets > 2


def test_an_environment_reset_by_hand_after_an_end_is_rewarded_at_once() -> None:
    env = gymnasium.make_vec("CartPole-v1", 2, "sync")
    wrapped = LearnedRewardVectorWrapper(env, a_model(make_layout(env)))
    for options in (None, {"reset_mask": np.ones(2, dtype=bool)}):
        wrapped.reset(seed=0)
        ended = np.zeros(2, dtype=bool)
        while not ended.all():
            *_, terminated, _, _ = wrapped.step(np.ones(2, dtype=int))
            ended |= terminated
        wrapped.reset(seed=0, options=options)
        _, learned, *_ = wrapped.step(np.ones(2, dtype=int))
        assert learned.all()


def test_the_true_reward_follows_gymnasiums_convention_for_infos() -> None:
    env = gymnasium.make_vec("CartPole-v1", num_envs=2)
    listed = gymnasium.wrappers.vector.DictInfoToList(
        LearnedRewardVectorWrapper(env, a_model(make_layout(env)))
    )
    listed.reset(seed=0)
    *_, infos = listed.step(np.array([0, 1]))
    assert [info["true_reward"] for info in infos] == [1.0, 1.0]


def test_our_own_worlds_can_be_wrapped_and_actions_are_clipped_as_the_simulator_does() -> None:
    env = make_vector_env("half-cheetah", 2, 0)
    model = a_model(make_layout(env))
    wrapped = LearnedRewardVectorWrapper(env, model)
    observation, _ = wrapped.reset()
    wild = np.full((2, 6), 5.0)
    _, learned, _, _, infos = wrapped.step(wild)
    np.testing.assert_allclose(learned, model.predict(observation, np.ones((2, 6))), rtol=1e-6)
    assert infos["true_reward"].shape == (2,)
    wrapped.close()


def test_a_single_environment_gives_the_rewards_of_the_vector_one() -> None:
    env = gymnasium.make("Pendulum-v1")
    model = a_model(layout_for(env))
    wrapped = LearnedRewardWrapper(env, model)
    observation, _ = wrapped.reset(seed=3)
    wrapped.action_space.seed(0)
    for _ in range(5):
        action = wrapped.action_space.sample()
        expected = float(model.predict(observation[None], action[None])[0])
        observation, learned, _, _, info = wrapped.step(action)
        assert isinstance(learned, float)
        assert learned == pytest.approx(expected, rel=1e-6)
        assert info["true_reward"] < 0.0


def test_stacked_frames_are_taken_channels_first_or_last() -> None:
    layout = Layout("stack", (20, 20, 4))
    model = a_model(layout)
    wrapped = LearnedRewardWrapper(FrameStackObservation(Frames(), 4), model)
    observation, _ = wrapped.reset(seed=0)
    assert observation.shape == (4, 20, 20)
    _, learned, *_ = wrapped.step(1)
    last = np.moveaxis(observation, 0, -1)
    assert learned == pytest.approx(float(model.predict(last[None], np.ones(1, dtype=int))[0]), rel=1e-6)

    pixels = make_vector_env("probe-pixels", 2, 0)
    vector = LearnedRewardVectorWrapper(pixels, a_model(make_layout(pixels)))
    frames, _ = vector.reset()
    _, rewards, *_ = vector.step(np.array([0, 1]))
    expected = a_model(make_layout(pixels)).predict(frames, np.array([0, 1]))
    np.testing.assert_allclose(rewards, expected, rtol=1e-6)


@pytest.mark.parametrize("start", [0, 5, 7])
def test_discrete_actions_count_from_the_first_one_of_their_space(start: int) -> None:
    env = gymnasium.wrappers.TransformAction(
        gymnasium.make("CartPole-v1"), lambda action: action - 5, Discrete(2, start=5)
    )
    model = a_model(layout_for(env)._replace(action_start=start))
    wrapped = LearnedRewardWrapper(env, model)
    observation, _ = wrapped.reset(seed=0)
    _, learned, *_ = wrapped.step(6)
    expected = model.predict(observation[None], np.array([start + 1]))[0]
    assert learned == pytest.approx(float(expected), rel=1e-6)


def test_one_version_is_kept_until_reload(tmp_path: Path) -> None:
    env = gymnasium.make("Pendulum-v1")
    layout = layout_for(env)
    first, second = a_model(layout), a_model(layout, seed=1)
    second.ensemble.version = 4
    save_reward_model(tmp_path, first.ensemble, layout, CONFIG)
    wrapped = LearnedRewardWrapper(env, tmp_path)
    save_reward_model(tmp_path, second.ensemble, layout, CONFIG)
    observation, _ = wrapped.reset(seed=0)
    action = np.zeros(1)
    _, before, *_ = wrapped.step(action)
    assert before == pytest.approx(float(first.predict(observation[None], action[None])[0]), rel=1e-6)
    assert (wrapped.reload(), wrapped.reward_version) == (4, 4)
    observation, _ = wrapped.reset(seed=0)
    _, after, *_ = wrapped.step(action)
    assert after == pytest.approx(float(second.predict(observation[None], action[None])[0]), rel=1e-6)


def test_a_live_model_that_is_fitted_on_does_not_change_a_wrapper_under_way() -> None:
    env = gymnasium.make_vec("Pendulum-v1", num_envs=1)
    model = a_model(make_layout(env))
    wrapped = LearnedRewardVectorWrapper(env, model)
    rewards = []
    for change in (lambda: None, lambda: model.ensemble.scale.mul_(2.0), wrapped.reload):
        change()
        wrapped.reset(seed=0)
        rewards.append(wrapped.step(np.zeros((1, 1)))[1])
    assert rewards[0] == rewards[1]
    assert rewards[2] == pytest.approx(2.0 * rewards[0])


@pytest.mark.parametrize("task", ["Acrobot-v1", "Pendulum-v1"])
def test_a_reward_of_another_task_is_refused(task: str) -> None:
    cart_pole = a_model(layout_for(gymnasium.make("CartPole-v1")))
    with pytest.raises(UsageError, match="the reward was learned from 6 numbers"):
        LearnedRewardWrapper(gymnasium.make(task), cart_pole)


def test_frames_of_another_size_or_vectors_are_refused() -> None:
    model = a_model(Layout("stack", (24, 24, 4)))
    for env in (FrameStackObservation(Frames(), 4), gymnasium.make("CartPole-v1")):
        with pytest.raises(UsageError, match="the reward was learned from frames"):
            LearnedRewardWrapper(env, model)


def test_the_vec_env_rewards_each_step_where_it_was_taken() -> None:
    plain, inner = make_vec_env("CartPole-v1", 2, seed=0), make_vec_env("CartPole-v1", 2, seed=0)
    model = a_model(layout_of(plain.observation_space, plain.action_space, stacked_frames=False))
    wrapped = LearnedRewardVecEnv(inner, model)
    observation, again = plain.reset(), wrapped.reset()
    rng, ends = np.random.default_rng(0), 0
    for _ in range(50):
        np.testing.assert_array_equal(observation, again)
        actions = rng.integers(0, 2, 2)
        expected = model.predict(observation, actions)
        observation, true, done, _ = plain.step(actions)
        again, learned, _, infos = wrapped.step(actions)
        np.testing.assert_allclose(learned, expected, rtol=1e-6)
        assert [info["true_reward"] for info in infos] == true.tolist()
        assert all("terminal_observation" in infos[i] for i in np.flatnonzero(done))
        ends += int(done.sum())
    assert ends > 1


def test_a_users_own_script_learns_from_the_learned_reward(tmp_path: Path) -> None:
    venv = make_vec_env("Pendulum-v1", 2, seed=0)
    layout = layout_of(venv.observation_space, venv.action_space, stacked_frames=False)
    save_reward_model(tmp_path, a_model(layout).ensemble, layout, CONFIG)
    learned = LearnedRewardVecEnv(venv, tmp_path)
    agent = PPO("MlpPolicy", VecNormalize(learned), n_steps=32, batch_size=32, n_epochs=1, device="cpu")
    agent.learn(128)
    assert agent.num_timesteps == 128
    assert learned.reload() == learned.reward_version == 0


def test_normalised_observations_under_the_vec_env_are_refused() -> None:
    venv = make_vec_env("Pendulum-v1", 1)
    model = a_model(layout_of(venv.observation_space, venv.action_space, stacked_frames=False))
    with pytest.raises(UsageError, match="inside of VecNormalize"):
        LearnedRewardVecEnv(VecNormalize(venv), model)
    LearnedRewardVecEnv(VecNormalize(venv, norm_obs=False), model)
