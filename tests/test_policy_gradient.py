"""Policy-gradient mathematics: hand-computed numbers, a public implementation, masks, exact enumeration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.buffers import RolloutBuffer
from torch import Tensor

from prefrl.policy_gradient import (
    clipped_surrogate_loss,
    clipped_value_loss,
    explained_variance,
    generalised_advantages,
    normalise_advantages,
    whiten_without_shift,
)

seeds = st.integers(0, 2**16)


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def a_rollout(rng: np.random.Generator, steps: int, columns: int) -> dict[str, Tensor]:
    """Rewards, values, next values and ends as a collector hands them over: some ends cut off, some final."""
    values = torch.from_numpy(rng.normal(size=(steps + 1, columns)))
    ends = torch.from_numpy(rng.random((steps, columns)) < 0.3)
    bootstrap = torch.from_numpy(rng.normal(size=(steps, columns)) * (rng.random((steps, columns)) < 0.5))
    return {
        "rewards": torch.from_numpy(rng.normal(size=(steps, columns))),
        "values": values[:-1],
        "next_values": torch.where(ends, bootstrap, values[1:]),
        "ends": ends,
    }


def test_advantages_equal_numbers_computed_by_hand() -> None:
    # One episode that terminates with the second of three steps; gamma 1/2, lambda 1/2.
    advantages, returns = generalised_advantages(
        double([[1.0], [2.0], [3.0]]),
        double([[10.0], [20.0], [30.0]]),
        double([[20.0], [0.0], [40.0]]),
        torch.tensor([[False], [True], [False]]),
        discount=0.5,
        gae_lambda=0.5,
    )
    # deltas: 1 + 10 - 10 = 1; 2 + 0 - 20 = -18; 3 + 20 - 30 = -7. First advantage: 1 + 1/4 * -18.
    torch.testing.assert_close(advantages, double([[-3.5], [-18.0], [-7.0]]))
    torch.testing.assert_close(returns, double([[6.5], [2.0], [23.0]]))


def test_a_truncated_episode_counts_the_value_of_its_final_observation() -> None:
    advantages, _ = generalised_advantages(
        double([[1.0], [1.0]]),
        double([[0.0], [5.0]]),
        double([[8.0], [6.0]]),
        torch.tensor([[True], [False]]),
        discount=0.5,
        gae_lambda=1.0,
    )
    torch.testing.assert_close(advantages, double([[1.0 + 0.5 * 8.0], [1.0 + 0.5 * 6.0 - 5.0]]))


def test_lambda_one_without_values_gives_discounted_returns_and_lambda_zero_one_step_errors() -> None:
    rewards, zeros, ends = double([1.0, 2.0, 4.0]), double([0.0, 0.0, 0.0]), torch.tensor([0, 0, 1])
    whole, _ = generalised_advantages(rewards, zeros, zeros, ends, discount=0.5, gae_lambda=1.0)
    torch.testing.assert_close(whole, double([3.0, 4.0, 4.0]))
    single, _ = generalised_advantages(rewards, zeros, zeros, ends, discount=0.5, gae_lambda=0.0)
    torch.testing.assert_close(single, rewards)


@given(seed=seeds, discount=st.floats(0, 1), gae_lambda=st.floats(0, 1))
def test_advantages_equal_those_of_stable_baselines(seed: int, discount: float, gae_lambda: float) -> None:
    rng = np.random.default_rng(seed)
    steps, envs = 7, 3
    rewards, ends = rng.normal(size=(steps, envs)), rng.random((steps, envs)) < 0.3
    truncated = ends & (rng.random((steps, envs)) < 0.5)
    values, final_values = rng.normal(size=(steps + 1, envs)), rng.normal(size=(steps, envs))
    buffer = RolloutBuffer(
        steps, Box(-1, 1, (1,)), Box(-1, 1, (1,)), gae_lambda=gae_lambda, gamma=discount, n_envs=envs
    )
    starts = np.concatenate([np.ones((1, envs), bool), ends[:-1]])
    # As their OnPolicyAlgorithm does: a truncated episode's last value is added to its reward.
    bootstrapped = rewards + discount * np.where(truncated, final_values, 0.0)
    for t in range(steps):
        log_prob = torch.zeros(envs)
        nothing = np.zeros((envs, 1))
        buffer.add(nothing, nothing, bootstrapped[t], starts[t], torch.from_numpy(values[t]), log_prob)
    buffer.compute_returns_and_advantage(torch.from_numpy(values[-1]), ends[-1])
    next_values = np.where(ends, np.where(truncated, final_values, 0.0), values[1:])
    advantages, returns = generalised_advantages(
        *(torch.from_numpy(x) for x in (rewards, values[:-1], next_values)),
        torch.from_numpy(ends),
        discount=discount,
        gae_lambda=gae_lambda,
    )
    np.testing.assert_allclose(advantages.numpy(), buffer.advantages, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(returns.numpy(), buffer.returns, rtol=1e-5, atol=1e-5)


@given(seed=seeds)
def test_a_mask_of_ones_changes_nothing(seed: int) -> None:
    rollout = a_rollout(np.random.default_rng(seed), 6, 2)
    plain = generalised_advantages(**rollout, discount=0.9, gae_lambda=0.8)
    masked = generalised_advantages(**rollout, discount=0.9, gae_lambda=0.8, mask=torch.ones(6, 2))
    torch.testing.assert_close(masked, plain)


@given(seed=seeds, steps=st.integers(1, 9))
def test_masked_steps_are_as_if_they_were_not_there(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    rollout = a_rollout(rng, steps, 1)
    mask = rng.random(steps) < 0.6
    kept = np.flatnonzero(mask)
    advantages, returns = generalised_advantages(
        **rollout, discount=0.9, gae_lambda=0.8, mask=torch.from_numpy(mask[:, None])
    )
    assert (advantages[~mask] == 0).all()
    torch.testing.assert_close(returns, advantages + rollout["values"])
    if not len(kept):
        return
    short = {name: tensor[kept].clone() for name, tensor in rollout.items()}
    ends = rollout["ends"][:, 0].numpy()
    for position, t in enumerate(kept):
        # What a kept step leads to lies behind the masked steps that follow it: the first end among them, or
        # the next kept step, or what comes after the whole rollout.
        until = kept[position + 1] if position + 1 < len(kept) else steps
        ended = np.flatnonzero(ends[t:until])
        if len(ended):
            short["ends"][position] = True
            short["next_values"][position] = rollout["next_values"][t + ended[0]]
        elif until < steps:
            short["next_values"][position] = rollout["values"][until]
        else:
            short["next_values"][position] = rollout["next_values"][-1]
    expected, _ = generalised_advantages(**short, discount=0.9, gae_lambda=0.8)
    torch.testing.assert_close(advantages[kept], expected)


@given(seed=seeds, padding=st.integers(1, 4))
def test_padding_behind_a_finished_sequence_changes_nothing(seed: int, padding: int) -> None:
    rng = np.random.default_rng(seed)
    rollout = a_rollout(rng, 5, 2)
    rollout["ends"][-1], rollout["next_values"][-1] = True, 0.0
    expected, _ = generalised_advantages(**rollout, discount=0.9, gae_lambda=0.8)
    junk = a_rollout(rng, padding, 2)
    padded = {name: torch.cat([tensor, junk[name]]) for name, tensor in rollout.items()}
    mask = torch.cat([torch.ones(5, 2), torch.zeros(padding, 2)])
    advantages, _ = generalised_advantages(**padded, discount=0.9, gae_lambda=0.8, mask=mask)
    torch.testing.assert_close(advantages[:5], expected)


def test_advantages_of_unequal_shapes_are_refused() -> None:
    ones = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"one shape.*\(2, 2\)"):
        generalised_advantages(ones, ones, ones[:2], ones, discount=1.0, gae_lambda=1.0)


def test_the_surrogate_equals_its_equation_computed_by_hand() -> None:
    ratios = double([1.0, 1.5, 0.5, 1.5, 0.5, 1.1])
    advantages = double([2.0, 2.0, 2.0, -2.0, -2.0, -2.0])
    losses = clipped_surrogate_loss(ratios.log() - 3.0, double([-3.0] * 6), advantages, clip=0.2)
    # A gain stops counting at 1.2 and a loss at 0.8, while what makes matters worse counts in full.
    torch.testing.assert_close(losses, double([-2.0, -2.4, -1.0, 3.0, 1.6, 2.2]))


def test_no_gradient_pushes_a_ratio_further_out_of_its_bounds() -> None:
    log_prob = double([1.5, 0.5, 1.5, 0.5]).log().requires_grad_()
    losses = clipped_surrogate_loss(log_prob, torch.zeros(4), double([1.0, -1.0, -1.0, 1.0]), clip=0.2)
    (gradient,) = torch.autograd.grad(losses.sum(), log_prob)
    torch.testing.assert_close(gradient, double([0.0, 0.0, 1.5, -0.5]))


def test_a_higher_upper_bound_lets_gains_run_further_and_leaves_the_lower_one() -> None:
    ratios, advantages = double([1.25, 1.5, 0.5]), double([1.0, 1.0, -1.0])
    losses = clipped_surrogate_loss(ratios.log(), torch.zeros(3), advantages, clip=0.2, clip_high=0.3)
    torch.testing.assert_close(losses, double([-1.25, -1.3, 0.8]))


def test_the_value_loss_equals_its_equation_computed_by_hand() -> None:
    value, old, target = double([3.0, 3.0, -1.0]), double([0.0, 2.9, 0.0]), double([1.0, 1.0, -3.0])
    torch.testing.assert_close(clipped_value_loss(value, old, target, clip=None), double([2.0, 2.0, 2.0]))
    # Clipped values 0.5, 3.0 and -0.5: errors 0.5, 2 and 2.5, and the larger error counts.
    torch.testing.assert_close(clipped_value_loss(value, old, target, clip=0.5), double([2.0, 2.0, 3.125]))


@given(seed=seeds, scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_normalised_advantages_have_mean_zero_and_deviation_one_whatever_the_scale(
    seed: int, scale: float, shift: float
) -> None:
    advantages = torch.from_numpy(np.random.default_rng(seed).normal(size=(4, 5)))
    normal = normalise_advantages(advantages)
    assert normal.mean().item() == pytest.approx(0, abs=1e-6)
    assert normal.std(correction=0).item() == pytest.approx(1)
    torch.testing.assert_close(normalise_advantages(advantages * scale + shift), normal)


@given(seed=seeds)
def test_advantages_are_normalised_over_unmasked_steps_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    advantages, mask = torch.from_numpy(rng.normal(size=(4, 5))), torch.from_numpy(rng.random((4, 5)) < 0.7)
    mask[0, :2] = True
    normal = normalise_advantages(advantages, mask)
    torch.testing.assert_close(normal[mask], normalise_advantages(advantages[mask]))
    assert (normal[~mask] == 0).all()


def test_equal_advantages_are_normalised_to_zero() -> None:
    assert normalise_advantages(torch.full((4,), 7.0)).tolist() == [0.0] * 4


def test_the_explained_variance_is_one_for_perfect_values_and_zero_for_constant_ones() -> None:
    returns = double([1.0, 2.0, 3.0])
    assert explained_variance(returns + 5.0, returns) == pytest.approx(1.0)
    assert explained_variance(double([9.0, 9.0, 9.0]), returns) == pytest.approx(0.0)
    # The errors are -2, 0 and 2, four times the spread of the returns.
    assert explained_variance(double([3.0, 2.0, 1.0]), returns) == pytest.approx(-3.0)
    assert math.isnan(explained_variance(returns, double([2.0, 2.0, 2.0])))


def test_whitening_without_a_shift_keeps_the_mean_and_makes_the_deviation_one() -> None:
    rewards = double([[1.0, 3.0, 99.0], [5.0, 7.0, 9.0]])
    mask = double([[1, 1, 0], [1, 1, 1]])
    kept = whiten_without_shift(rewards, mask)[mask.bool()]
    assert float(kept.mean()) == pytest.approx(5.0)
    assert float(kept.std(correction=0)) == pytest.approx(1.0)
    assert float(kept[0]) == pytest.approx(5.0 - 4.0 / math.sqrt(8.0))
