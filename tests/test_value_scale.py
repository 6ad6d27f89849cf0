"""The scale of value targets: an exponentially forgetting mean and deviation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prefrl.value_scale import ValueScale

seeds = st.integers(0, 2**16)
some_returns = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20)


def test_before_any_returns_values_stay_as_they_are() -> None:
    scale = ValueScale()
    assert (scale.mean, scale.std) == (0.0, 1.0)
    np.testing.assert_array_equal(scale.normalise(np.array([3.0, -1.0])), [3.0, -1.0])


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99])
def test_the_first_rollout_counts_in_full_whatever_the_decay(decay: float) -> None:
    scale = ValueScale(decay)
    scale.update(np.array([[1.0, 3.0], [5.0, 7.0]]))
    assert scale.mean == pytest.approx(4.0)
    assert scale.std == pytest.approx(math.sqrt(5.0))


def test_later_rollouts_are_weighed_by_the_decay() -> None:
    scale = ValueScale(0.5)
    scale.update(np.array([0.0, 2.0]))
    scale.update(np.array([10.0, 14.0]))
    # Weights 1/4 and 1/2 of 3/4: means 1 and 12, squares 2 and 148.
    mean, square = (1 + 2 * 12) / 3, (2 + 2 * 148) / 3
    assert scale.mean == pytest.approx(mean)
    assert scale.std == pytest.approx(math.sqrt(square - mean**2))


def test_an_old_reward_is_forgotten() -> None:
    scale = ValueScale(0.5)
    scale.update(np.array([1e4, -1e4]))
    for _ in range(60):
        scale.update(np.array([1.0, 3.0]))
    assert scale.mean == pytest.approx(2.0)
    assert scale.std == pytest.approx(1.0, rel=1e-3)


def test_without_decay_only_the_last_rollout_counts() -> None:
    scale = ValueScale(0.0)
    scale.update(np.array([100.0, 900.0]))
    scale.update(np.array([1.0, 3.0]))
    assert (scale.mean, scale.std) == pytest.approx((2.0, 1.0))


@given(returns=some_returns, values=some_returns)
def test_denormalising_undoes_normalising(returns: list[float], values: list[float]) -> None:
    scale = ValueScale()
    scale.update(np.array(returns))
    back = scale.denormalise(scale.normalise(np.array(values)))
    np.testing.assert_allclose(back, values, rtol=1e-6, atol=1e-6)


@given(seed=seeds, stretch=st.floats(0.1, 100), shift=st.floats(-10, 10))
def test_normalised_returns_do_not_depend_on_the_units_of_the_reward(
    seed: int, stretch: float, shift: float
) -> None:
    returns = np.random.default_rng(seed).normal(size=50)
    plain, changed = ValueScale(), ValueScale()
    plain.update(returns)
    changed.update(returns * stretch + shift * stretch)
    np.testing.assert_allclose(
        changed.normalise(returns * stretch + shift * stretch), plain.normalise(returns), atol=1e-6
    )


@given(seed=seeds, stretch=st.floats(1e-2, 1e3), shift=st.floats(-100, 100))
def test_rewriting_the_value_head_changes_no_value(seed: int, stretch: float, shift: float) -> None:
    rng, scale, head = np.random.default_rng(seed), ValueScale(), torch.nn.Linear(4, 1).double()
    scale.update(rng.normal(size=30))
    features = torch.from_numpy(rng.normal(size=(7, 4)))
    before = scale.denormalise(head(features).detach().numpy())
    scale.update_with_head(stretch * rng.normal(size=30) + shift, head)
    np.testing.assert_allclose(scale.denormalise(head(features).detach().numpy()), before, atol=1e-8)
    assert scale.std != 1.0


@pytest.mark.parametrize(("constant", "std"), [(0.0, 1e-6), (50.0, 0.5), (-50.0, 0.5), (1e-9, 1e-6)])
def test_constant_returns_do_not_divide_by_zero(constant: float, std: float) -> None:
    scale = ValueScale()
    scale.update(np.full(10, constant))
    assert scale.std == pytest.approx(std)
    np.testing.assert_allclose(scale.normalise(np.full(3, constant)), 0.0, atol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_returns_that_are_not_finite_are_refused_and_not_taken_in(bad: float) -> None:
    scale = ValueScale()
    scale.update(np.array([1.0, 3.0]))
    with pytest.raises(ValueError, match="returns are not finite"):
        scale.update(np.array([1.0, bad]))
    assert (scale.mean, scale.std) == pytest.approx((2.0, 1.0))


@pytest.mark.parametrize("decay", [1.0, -0.1, math.nan])
def test_an_impossible_decay_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=rf"decay must lie in \[0, 1\), not {decay}"):
        ValueScale(decay)


def test_a_scale_goes_on_where_it_was_saved() -> None:
    first, second = ValueScale(), ValueScale()
    first.update(np.array([1.0, 5.0]))
    second.load_state_dict(first.state_dict())
    for scale in (first, second):
        scale.update(np.array([-3.0, 9.0]))
    assert (second.mean, second.std) == (first.mean, first.std)
