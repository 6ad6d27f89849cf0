"""Pessimism: bounds by hand, what they are the least of, a bandit on which greed never gets better."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prefrl.pessimism import Bound, data_covariance, ensemble_bound, fit_linear_return, linear_bound

# The bandit of Zhu et al. 2023, theorem 3.9: four actions; the parameters add up to zero and lie in a ball.
ACTIONS = torch.tensor(
    [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]], dtype=torch.float64
)
THETA = torch.tensor([-1.0, 0.1, 0.9], dtype=torch.float64)
RADIUS = 2.0
WORTH = ACTIONS @ THETA
"""-0.9, -1, 0 and 0.1: the last action is best."""


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def suboptimality(samples: int, *, pessimistic: bool) -> float:
    """Expected loss of the action chosen, over every outcome of the comparisons.

    The first two actions are compared samples − 1 times, the second and the third once.
    """
    # θ adds up to zero, so a constant added to all three features of an action changes nothing.
    features = ACTIONS - ACTIONS.mean(1, keepdim=True)
    differences = torch.stack([features[0] - features[1], features[1] - features[2]])
    frequent, rare = torch.sigmoid(differences @ THETA)
    repeats, wins = samples - 1, torch.arange(samples, dtype=torch.float64)
    chance = torch.distributions.Binomial(repeats, frequent).log_prob(wins).exp()
    # The share of wins as the answer to a comparison made that often is the same likelihood.
    outcomes = torch.stack([torch.stack([wins / repeats, torch.full_like(wins, won)], 1) for won in (1, 0)])
    estimates = fit_linear_return(differences, outcomes, radius=RADIUS, weights=torch.tensor([repeats, 1]))
    returns = estimates @ features.T
    if pessimistic:
        covariance = data_covariance(differences, ridge=1 / samples, weights=torch.tensor([repeats, 1]))
        returns = linear_bound(
            features, estimates, covariance, coefficient=3 / math.sqrt(samples), reference=features[2]
        )
    lost = WORTH.max() - WORTH[returns.argmax(-1)]
    return (chance * (rare * lost[0] + (1 - rare) * lost[1])).sum().item()


@pytest.mark.parametrize("samples", [2, 3, 5, 20, 100, 1000])
def test_greedy_maximum_likelihood_stays_suboptimal_for_every_sample_size_and_pessimism_does_not(
    samples: int,
) -> None:
    # One time in four the second action beats the third, and greed believes it for ever.
    assert suboptimality(samples, pessimistic=False) > 0.26
    assert suboptimality(samples, pessimistic=True) <= 0.1 + 1e-9


def test_pessimism_gets_better_with_more_data_where_greed_does_not() -> None:
    assert suboptimality(5000, pessimistic=True) < 0.01
    assert suboptimality(5000, pessimistic=False) > 0.26


def test_the_rare_comparison_pushes_the_estimate_to_the_edge_of_the_ball() -> None:
    estimate = fit_linear_return(
        double([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), double([1.0, 0.0, 1.0]), radius=2.0
    )
    torch.testing.assert_close(estimate, double([2.0, 0.0]))


def test_an_estimate_within_the_ball_is_the_plain_one() -> None:
    estimate = fit_linear_return(double([[2.0]] * 4), double([1.0, 1.0, 1.0, 0.0]), radius=5.0)
    torch.testing.assert_close(estimate, double([math.log(3) / 2]))


@given(seed=st.integers(0, 2**16))
def test_no_estimate_in_the_ball_is_likelier(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    differences = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    preference = torch.randint(0, 2, (6,), generator=generator).double()
    estimate = fit_linear_return(differences, preference, radius=1.5)
    others = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    others = others / others.norm(dim=1, keepdim=True).clamp(min=1.0) * 1.5

    def loss(theta: Tensor) -> Tensor:
        signs = 2 * preference - 1
        return -torch.nn.functional.logsigmoid(theta @ differences.T * signs).sum(-1)

    assert estimate.norm() <= 1.5 + 1e-6
    assert (loss(estimate) <= loss(others) + 1e-6).all()


def test_bounds_of_an_ensemble_equal_numbers_computed_by_hand() -> None:
    returns = double([[1.0, 0.0], [3.0, 0.0], [8.0, 3.0]])
    expected: dict[Bound, list[float]] = {
        "minimum": [1.0, 0.0],
        "maximum": [8.0, 3.0],
        "mean": [4.0, 1.0],
        "deviation": [4 - 0.5 * (26 / 3) ** 0.5, 1 - 0.5 * 2**0.5],
        "variance": [4 - 0.5 * 26 / 3, 1 - 0.5 * 2],
    }
    for bound, wanted in expected.items():
        torch.testing.assert_close(ensemble_bound(returns, bound, coefficient=0.5), double(wanted))


@given(seed=st.integers(0, 2**16))
def test_the_order_of_members_does_not_matter_and_a_negative_coefficient_is_optimism(seed: int) -> None:
    returns = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(
        ensemble_bound(returns.flip(0), "deviation"), ensemble_bound(returns, "deviation")
    )
    assert (ensemble_bound(returns, "deviation", coefficient=-1.0) >= ensemble_bound(returns, "mean")).all()


def test_agreeing_members_are_neither_doubted_nor_is_a_lone_one() -> None:
    same = double([[2.0, 5.0]] * 3)
    for bound in ("minimum", "deviation", "variance", "maximum"):
        torch.testing.assert_close(ensemble_bound(same, bound), same[0])
        torch.testing.assert_close(ensemble_bound(same[:1], bound), same[0])


@given(seed=st.integers(0, 2**16))
def test_the_linear_bound_is_the_least_return_in_the_ellipsoid(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    differences = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    covariance = data_covariance(differences, ridge=0.1)
    estimate, item, reference = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    bound = linear_bound(item[None], estimate, covariance, coefficient=0.7, reference=reference)[0]
    # Directions of length 0.7 in the covariance's norm, and among them the worst one.
    directions = torch.randn(500, 3, generator=generator, dtype=torch.float64)
    lengths = ((directions @ covariance) * directions).sum(1, keepdim=True).sqrt()
    worth = (estimate + 0.7 * directions / lengths) @ (item - reference)
    assert (worth >= bound - 1e-9).all()
    worst = torch.linalg.solve(covariance, item - reference)
    worst = estimate - 0.7 * worst / ((item - reference) @ worst).sqrt()
    torch.testing.assert_close(worst @ (item - reference), bound)


def test_the_reference_itself_is_never_doubted() -> None:
    covariance = data_covariance(double([[1.0, 0.0]]), ridge=1e-3)
    item = double([0.3, 5.0])
    bound = linear_bound(item[None], double([1.0, 1.0]), covariance, coefficient=9.0, reference=item)
    assert bound.item() == 0.0


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: data_covariance(torch.zeros(3), ridge=1.0), r"\[n, d\]"),
        (lambda: data_covariance(torch.zeros(3, 2), ridge=0.0), "ridge above 0"),
        (lambda: fit_linear_return(torch.zeros(3, 2), torch.zeros(2), radius=1.0), "do not fit"),
        (lambda: fit_linear_return(torch.zeros(3, 2), torch.zeros(3), radius=0.0), "radius above 0"),
        (lambda: ensemble_bound(torch.zeros(0, 2), "minimum"), "at least one member"),
    ],
)
def test_impossible_settings_are_refused(call: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        call()  # type: ignore[operator]
