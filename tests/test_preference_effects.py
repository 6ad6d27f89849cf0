"""Effects of features on who wins: against scipy, by hand, and under swapping."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from prefrl.statistics import wilson_interval
from prefrl.texts.preference_effects import find_effects


def objective(x: NDArray[np.float64], preference: NDArray[np.float64], beta: NDArray[np.float64]) -> float:
    """Firth's penalised log-likelihood, written down once more."""
    chance = 1 / (1 + np.exp(-x @ beta))
    information = x.T @ np.diag(chance * (1 - chance)) @ x
    likelihood = np.sum(preference * np.log(chance) + (1 - preference) * np.log(1 - chance))
    return float(likelihood + 0.5 * np.log(np.linalg.det(information)))


def sample(pairs: int, effect: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    differences = rng.standard_normal((pairs, 3)) * [1.0, 30.0, 4.0]
    chance = 1 / (1 + np.exp(-effect * differences[:, 0]))
    return differences, (rng.random(pairs) < chance).astype(np.float64)


def test_coefficients_and_bounds_are_those_that_scipy_finds() -> None:
    differences, preference = sample(40, 1.0, seed=3)
    effects = find_effects(differences, preference)
    x = differences / np.sqrt(np.mean(differences**2, 0))
    best = optimize.minimize(lambda beta: -objective(x, preference, beta), np.zeros(3), tol=1e-10)
    assert [effect.coefficient.estimate for effect in effects] == pytest.approx(best.x.tolist(), abs=1e-4)
    drop = stats.chi2.ppf(0.95, 1) / 2
    for place, effect in enumerate(effects):
        for bound in (effect.coefficient.lower, effect.coefficient.upper):

            def fixed(rest: NDArray[np.float64], place: int = place, bound: float = bound) -> float:
                return -objective(x, preference, np.insert(rest, place, bound))

            profile = -optimize.minimize(fixed, np.delete(best.x, place), tol=1e-10).fun
            assert -best.fun - profile == pytest.approx(drop, abs=2e-3)


def test_swapping_the_sides_changes_nothing() -> None:
    differences, preference = sample(30, 1.0, seed=0)
    swapped = np.arange(30) % 2 == 0
    differences_2 = np.where(swapped[:, None], -differences, differences)
    preference_2 = np.where(swapped, 1 - preference, preference)
    for one, other in zip(
        find_effects(differences, preference), find_effects(differences_2, preference_2), strict=True
    ):
        assert one.share == other.share
        assert one.coefficient.estimate == pytest.approx(other.coefficient.estimate)
        assert one.coefficient.lower == pytest.approx(other.coefficient.lower)


def test_a_feature_that_decides_everything_has_a_finite_coefficient() -> None:
    differences = np.random.default_rng(1).standard_normal((20, 1))
    (effect,) = find_effects(differences, (differences[:, 0] > 0).astype(float))
    assert effect.share == wilson_interval(20, 20)
    assert 0 < effect.coefficient.lower < effect.coefficient.estimate < 20


def test_ties_of_either_kind_take_no_side_in_the_share() -> None:
    differences = np.array([[1.0], [1.0], [-1.0], [0.0], [1.0]])
    (effect,) = find_effects(differences, np.array([1.0, 0.5, 0.25, 1.0, 0.0]))
    assert effect.pairs == 3
    assert effect.share == wilson_interval(2, 3)


def test_features_that_say_the_same_have_no_bounds_of_their_own() -> None:
    column = np.random.default_rng(2).standard_normal(30)
    effects = find_effects(np.stack([column, 3 * column], 1), (column > 0).astype(float))
    for effect in effects:
        assert (effect.coefficient.lower, effect.coefficient.upper) == (-np.inf, np.inf)


def test_without_differences_or_pairs_there_is_no_effect() -> None:
    constant, varied = find_effects(
        np.array([[0.0, 1.0], [0.0, -1.0], [0.0, 2.0]]), np.array([1.0, 0.0, 1.0])
    )
    assert np.isnan(constant.coefficient.estimate)
    assert constant.pairs == 0
    assert varied.pairs == 3
    assert all(np.isnan(effect.coefficient.lower) for effect in find_effects(np.zeros((0, 3)), np.zeros(0)))


def test_intervals_hold_what_they_promise() -> None:
    covered, alarms, trials = 0, 0, 60
    for seed in range(trials):
        differences, preference = sample(40, 1.5, seed)
        first, second, _ = find_effects(differences, preference)
        covered += first.coefficient.lower <= 1.5 * first.typical <= first.coefficient.upper
        alarms += not second.coefficient.lower <= 0 <= second.coefficient.upper
    # Binomial(60, 0.95) is below 52 with probability 0.01.
    assert covered >= 52
    assert alarms <= 8
