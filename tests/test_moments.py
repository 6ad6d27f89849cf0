"""Running moments and the scale of rewards, against NumPy and Stable-Baselines3."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from prefrl.moments import RewardScaler, RunningMoments


@given(sizes=st.lists(st.integers(0, 20), min_size=1, max_size=6), offset=st.floats(-1e3, 1e3))
def test_moments_of_batches_are_those_of_everything_at_once(sizes: list[int], offset: float) -> None:
    values = offset + np.random.default_rng(0).normal(size=(sum(sizes), 3))
    moments = RunningMoments((3,))
    for batch in np.split(values, np.cumsum(sizes)[:-1]):
        moments.update(batch)
    assert moments.count == sum(sizes)
    if len(values):
        np.testing.assert_allclose(moments.mean, values.mean(axis=0))
        np.testing.assert_allclose(moments.variance, values.var(axis=0), atol=1e-9)
        np.testing.assert_allclose(moments.std, values.std(axis=0), atol=1e-9)


def test_moments_keep_their_digits_far_from_zero() -> None:
    values = 1e9 + np.arange(1000.0)
    moments = RunningMoments()
    for batch in values.reshape(100, 10):
        moments.update(batch)
    assert moments.variance == pytest.approx(np.arange(1000.0).var())


def test_before_any_data_values_pass_unchanged() -> None:
    moments = RunningMoments((2,))
    np.testing.assert_allclose(moments.normalise([[3.0, -4.0]]), [[3.0, -4.0]])
    np.testing.assert_array_equal(moments.std, [1.0, 1.0])


def test_moments_are_the_same_numbers_as_stable_baselines3s() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = RunningMoments((4,), prior_count=1e-4), RunningMeanStd(1e-4, (4,))
    for size in (1, 5, 64):
        batch = rng.normal(3.0, 2.0, size=(size, 4)).astype(np.float32)
        ours.update(batch)
        theirs.update(batch.astype(np.float64))
    assert ours.count == pytest.approx(theirs.count)
    np.testing.assert_allclose(ours.mean, theirs.mean)
    np.testing.assert_allclose(ours.variance, theirs.var)


def test_normalised_values_have_mean_0_and_deviation_1_and_are_clipped() -> None:
    values = np.random.default_rng(2).normal(5.0, 3.0, size=(1000, 2))
    moments = RunningMoments((2,))
    moments.update(values)
    normal = moments.normalise(values)
    np.testing.assert_allclose(normal.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(normal.std(axis=0), 1.0)
    assert np.abs(moments.normalise(values, 1.5)).max() == 1.5
    assert moments.count == 1000


def test_the_mean_handed_out_is_a_copy() -> None:
    moments = RunningMoments((2,))
    moments.mean[:] = 7.0
    moments.state_dict()["mean"][:] = 7.0
    np.testing.assert_array_equal(moments.mean, [0.0, 0.0])


def test_moments_that_were_saved_continue_exactly() -> None:
    rng = np.random.default_rng(3)
    whole, first, second = RunningMoments((2,)), RunningMoments((2,)), RunningMoments((2,))
    one, two = rng.normal(size=(7, 2)), rng.normal(size=(5, 2))
    whole.update(one)
    whole.update(two)
    first.update(one)
    second.load_state_dict(first.state_dict())
    second.update(two)
    np.testing.assert_array_equal(whole.mean, second.mean)
    np.testing.assert_array_equal(whole.variance, second.variance)
    assert whole.count == second.count


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.zeros((3, 4)), "cannot take values"),
        (np.zeros(2), "cannot take values"),
        (np.array([[0.0, math.nan]]), "not finite"),
        (np.array([[math.inf, 0.0]]), "not finite"),
    ],
)
def test_moments_refuse_what_would_spoil_them(values: np.ndarray, complaint: str) -> None:
    moments = RunningMoments((2,))
    with pytest.raises(ValueError, match=complaint):
        moments.update(values)
    assert moments.count == 0


def test_a_single_number_is_no_batch() -> None:
    with pytest.raises(ValueError, match="cannot take values"):
        RunningMoments().update(1.0)


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        RunningMoments((2,)).load_state_dict(RunningMoments((3,)).state_dict())


class Replay(gymnasium.Env[np.ndarray, np.ndarray]):
    """Hands recorded rewards and ends to Stable-Baselines3."""

    observation_space = action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, rewards: np.ndarray, ends: np.ndarray) -> None:
        self.recorded = zip(rewards, ends, strict=True)

    def reset(self, **settings: Any) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(**settings)
        return np.zeros(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward, end = next(self.recorded)
        return np.zeros_like(action, np.float32), float(reward), bool(end), False, {}


def test_the_reward_scale_is_the_same_number_as_stable_baselines3s() -> None:
    rng = np.random.default_rng(4)
    rewards = rng.normal(2.0, 3.0, size=(60, 5))
    ends = rng.random((60, 5)) < 0.1
    envs: list[Callable[[], gymnasium.Env[Any, Any]]] = [
        partial(Replay, rewards[:, i], ends[:, i]) for i in range(5)
    ]
    theirs = VecNormalize(DummyVecEnv(envs), norm_obs=False, gamma=0.9)
    theirs.reset()
    for _ in range(60):
        _, last, _, _ = theirs.step(np.zeros((5, 1)))
    ours = RewardScaler(5, discount=0.9)
    for start, stop in ((0, 7), (7, 40), (40, 60)):
        ours.update(rewards[start:stop], ends[start:stop])
    np.testing.assert_allclose(ours.scale, np.sqrt(theirs.ret_rms.var + theirs.epsilon))
    np.testing.assert_allclose(ours.normalise(rewards[-1]), last, rtol=1e-6)


def test_the_discounted_return_equals_that_computed_by_hand() -> None:
    scaler = RewardScaler(1, discount=0.5)
    scaler.update([[1.0], [2.0], [4.0]], [[False], [True], [False]])
    # Returns so far: 1, 2.5, then 4 in a new episode.
    exact = RunningMoments(prior_count=1e-4)
    exact.update([1.0, 2.5, 4.0])
    assert scaler.moments.variance == pytest.approx(exact.variance)
    assert scaler.state_dict()["returns"].tolist() == [4.0]


def test_scaling_neither_shifts_nor_exceeds_the_clip() -> None:
    scaler = RewardScaler(1, discount=0.0, clip=2.0)
    scaler.update(np.random.default_rng(5).normal(10.0, 1.0, size=(1000, 1)), np.zeros((1000, 1)))
    assert scaler.normalise(0.0) == 0.0
    assert scaler.normalise([1e6, -1e6]).tolist() == [2.0, -2.0]


def test_rewards_multiplied_by_a_factor_scale_to_nearly_the_same() -> None:
    rewards = np.random.default_rng(6).normal(size=(500, 4))
    scaled = []
    for factor in (1.0, 1000.0):
        scaler = RewardScaler(4, discount=0.99)
        scaler.update(factor * rewards, np.zeros((500, 4)))
        scaled.append(scaler.normalise(factor * rewards))
    np.testing.assert_allclose(scaled[0], scaled[1], rtol=1e-6)


def test_a_scaler_that_was_saved_continues_exactly() -> None:
    rewards = np.random.default_rng(7).normal(size=(2, 9, 3))
    ends = np.zeros((9, 3), bool)
    whole, first, second = (RewardScaler(3, discount=0.99) for _ in range(3))
    whole.update(rewards[0], ends)
    first.update(rewards[0], ends)
    second.load_state_dict(first.state_dict())
    whole.update(rewards[1], ends)
    second.update(rewards[1], ends)
    assert whole.scale == second.scale


def test_a_reward_that_is_not_finite_is_refused_and_leaves_no_trace() -> None:
    scaler = RewardScaler(1, discount=0.9)
    with pytest.raises(ValueError, match="not finite"):
        scaler.update([[1.0], [math.nan]], [[False], [False]])
    assert scaler.state_dict()["returns"].tolist() == [0.0]


@pytest.mark.parametrize(("rewards", "ends"), [((4, 3), (4, 3)), ((4,), (4,)), ((4, 2), (4, 1))])
def test_rollouts_of_a_wrong_shape_are_refused(rewards: tuple[int, ...], ends: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="both"):
        RewardScaler(2, discount=0.9).update(np.zeros(rewards), np.zeros(ends))


def test_impossible_scalers_are_refused() -> None:
    with pytest.raises(ValueError, match="discount"):
        RewardScaler(1, discount=1.1)
    with pytest.raises(ValueError, match="does not fit"):
        RewardScaler(2, discount=0.9).load_state_dict(RewardScaler(3, discount=0.9).state_dict())
