"""Fits of gold score over distance: recovered curves, peaks, intervals that hold the truth, bad points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from prefrl.errors import UsageError
from prefrl.over_optimisation import Form, fit_over_optimisation

KL = np.array([0.0, 0.5, 1.0, 3.0, 6.0, 10.0, 20.0])


def curve(form: Form, a: float, b: float) -> NDArray[np.float64]:
    d = np.sqrt(KL)
    return d * (a - b * (d if form == "best_of_n" else np.log(np.maximum(d, 1e-300))))


@pytest.mark.parametrize(
    ("form", "peak"), [("best_of_n", (0.6 / 0.4) ** 2), ("policy", math.exp(0.6 / 0.2 - 1) ** 2)]
)
def test_an_exact_curve_is_recovered_with_its_peak(form: Form, peak: float) -> None:
    fit = fit_over_optimisation(KL, curve(form, 0.6, 0.2), form=form, rng=np.random.default_rng(0))
    assert (fit.a.estimate, fit.b.estimate) == pytest.approx((0.6, 0.2))
    assert fit.residual == pytest.approx(0.0, abs=1e-12)
    assert fit.peak_kl == pytest.approx(peak)
    assert fit.gold(KL) == pytest.approx(curve(form, 0.6, 0.2))
    steps = fit.gold(np.array([0.98, 1.0, 1.02]) * peak)
    assert steps[1] == max(steps)


def test_a_curve_that_only_rises_has_no_peak_and_one_that_only_falls_has_it_at_the_start() -> None:
    rising = fit_over_optimisation(
        KL, curve("best_of_n", 0.6, -0.1), form="best_of_n", rng=np.random.default_rng(0)
    )
    falling = fit_over_optimisation(
        KL, curve("best_of_n", -0.6, 0.1), form="best_of_n", rng=np.random.default_rng(0)
    )
    assert rising.peak_kl == math.inf
    assert falling.peak_kl == 0.0


@pytest.mark.parametrize("form", ["best_of_n", "policy"])
def test_intervals_over_runs_hold_the_truth_about_as_often_as_they_say(form: Form) -> None:
    rng, held, studies, seeds = np.random.default_rng(1), 0, 150, 12
    for _ in range(studies):
        # Each run is off by a slope of its own, so its points are wrong together.
        runs = np.repeat(np.arange(seeds), len(KL))
        slopes = np.repeat(rng.normal(scale=0.1, size=seeds), len(KL))
        kl = np.tile(KL, seeds)
        gold = (
            np.tile(curve(form, 0.6, 0.2), seeds)
            + slopes * np.sqrt(kl)
            + rng.normal(scale=0.05, size=len(kl))
        )
        fit = fit_over_optimisation(kl, gold, form=form, rng=rng, runs=runs, resamples=300)
        held += fit.a.lower <= 0.6 <= fit.a.upper
    assert 0.85 <= held / studies <= 0.99


def test_the_bounds_of_both_numbers_lie_around_them() -> None:
    rng = np.random.default_rng(0)
    gold = curve("best_of_n", 0.6, 0.2) + rng.normal(scale=0.05, size=len(KL))
    fit = fit_over_optimisation(KL, gold, form="best_of_n", rng=rng)
    for number in (fit.a, fit.b):
        assert number.lower < number.estimate < number.upper


def test_a_single_run_has_no_interval() -> None:
    fit = fit_over_optimisation(
        KL, curve("policy", 0.6, 0.2), form="policy", rng=np.random.default_rng(0), runs=np.zeros(len(KL))
    )
    assert math.isnan(fit.a.lower)
    assert fit.a.estimate == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("kl", "gold", "complaint"),
    [
        ([1.0, 2.0], [1.0], r"must all be \[n\]"),
        ([1.0, -2.0], [1.0, 1.0], "not below 0"),
        ([1.0, 2.0], [1.0, math.nan], "finite gold scores"),
        ([0.0, 2.0, 2.0], [0.0, 1.0, 1.1], "two different divergences"),
    ],
)
def test_points_that_fix_no_curve_are_refused(kl: list[float], gold: list[float], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        fit_over_optimisation(kl, gold, form="policy", rng=np.random.default_rng(0))
