"""Intervals, scores and correlations against scipy, by hand, and by what must not change them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from prefrl import statistics
from prefrl.errors import UsageError

SCORES = {"hopper": [0.9, 1.1, 0.4, 0.8, 1.0], "ant": [0.2, 0.3, 0.1], "swimmer": [1.2, 1.3, 0.7, 0.9]}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_bootstrap_interval_of_a_mean_agrees_with_scipy() -> None:
    values = rng(1).normal(3.0, 2.0, 30)
    ours = statistics.bootstrap_interval(values, resamples=50_000, rng=rng())
    theirs = stats.bootstrap((values,), np.mean, n_resamples=50_000, method="percentile", rng=rng(7))
    assert ours.estimate == pytest.approx(values.mean())
    assert ours.lower == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.upper == pytest.approx(theirs.confidence_interval.high, abs=0.02)


def test_the_bootstrap_takes_any_statistic_that_reduces_the_last_axis() -> None:
    values = rng(2).exponential(1.0, 41)
    ours = statistics.bootstrap_interval(
        values, statistic=np.median, confidence=0.8, resamples=20_000, rng=rng()
    )
    theirs = stats.bootstrap(
        (values,), np.median, n_resamples=20_000, confidence_level=0.8, method="percentile", rng=rng(3)
    )
    assert (ours.lower, ours.upper) == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)


def test_two_values_resample_to_a_known_interval() -> None:
    # the mean of a resample of {0, 1} is 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4
    wide = statistics.bootstrap_interval([0.0, 1.0], rng=rng())
    narrow = statistics.bootstrap_interval([0.0, 1.0], confidence=0.4, rng=rng())
    assert (wide.estimate, wide.lower, wide.upper) == (0.5, 0.0, 1.0)
    assert (narrow.lower, narrow.upper) == (0.5, 0.5)


def test_a_95_percent_interval_covers_the_mean_about_that_often() -> None:
    generator = rng(4)
    hits = 0
    for _ in range(300):
        interval = statistics.bootstrap_interval(generator.normal(size=40), resamples=400, rng=generator)
        hits += interval.lower <= 0.0 <= interval.upper
    assert 0.90 <= hits / 300 <= 0.98


def test_the_same_generator_gives_the_same_interval_however_it_is_chunked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = rng(5).normal(size=50)
    whole = statistics.bootstrap_interval(values, rng=rng())
    monkeypatch.setattr("prefrl.bootstrap._CHUNK", 500)
    assert statistics.bootstrap_interval(values, rng=rng()) == whole


def test_one_seed_has_an_estimate_and_no_interval() -> None:
    interval = statistics.bootstrap_interval([4.0], rng=rng())
    assert interval.estimate == 4.0
    assert np.isnan([interval.lower, interval.upper]).all()


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [1.0, float("inf")]])
def test_the_bootstrap_refuses_values_it_cannot_resample(values: list[float]) -> None:
    with pytest.raises(ValueError, match="bootstrap needs"):
        statistics.bootstrap_interval(values, rng=rng())


@pytest.mark.parametrize("settings", [{"confidence": 0.0}, {"confidence": 1.0}, {"resamples": 0}])
def test_the_bootstrap_refuses_impossible_settings(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        statistics.bootstrap_interval([1.0, 2.0], rng=rng(), **settings)  # type: ignore[arg-type]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_interquartile_mean_is_the_trimmed_mean_of_scipy(values: list[float]) -> None:
    assert statistics.interquartile_mean(values) == pytest.approx(
        stats.trim_mean(values, 0.25), rel=1e-9, abs=1e-6
    )


def test_the_interquartile_mean_runs_along_one_axis() -> None:
    table = rng(6).normal(size=(3, 9))
    np.testing.assert_allclose(
        statistics.interquartile_mean(table, axis=1), stats.trim_mean(table, 0.25, axis=1)
    )
    assert statistics.interquartile_mean([0, 10, 11, 100]) == 10.5
    with pytest.raises(ValueError, match="at least one"):
        statistics.interquartile_mean([])


def test_the_stratified_bootstrap_resamples_seeds_within_each_task() -> None:
    # tasks far apart, seeds alike: with tasks kept the aggregate cannot move, with pooled scores it would
    scores = {"easy": [10.0, 10.0], "hard": [0.0, 0.0]}
    interval = statistics.stratified_bootstrap_interval(scores, statistic=np.mean, rng=rng())
    assert (interval.estimate, interval.lower, interval.upper) == (5.0, 5.0, 5.0)


def test_the_stratified_bootstrap_of_the_interquartile_mean_agrees_with_a_plain_loop() -> None:
    generator = rng(8)
    replicates = [
        stats.trim_mean(np.concatenate([generator.choice(v, len(v)) for v in SCORES.values()]), 0.25)
        for _ in range(1_500)
    ]
    interval = statistics.stratified_bootstrap_interval(SCORES, resamples=20_000, rng=rng())
    assert interval.estimate == pytest.approx(stats.trim_mean(np.concatenate(list(SCORES.values())), 0.25))
    assert (interval.lower, interval.upper) == pytest.approx(
        np.quantile(replicates, [0.025, 0.975]), abs=0.02
    )


def test_a_task_with_one_seed_leaves_the_aggregate_without_interval() -> None:
    assert np.isnan(statistics.stratified_bootstrap_interval({**SCORES, "reacher": [1.0]}, rng=rng()).lower)


def test_the_probability_of_improvement_is_a_scaled_mann_whitney_statistic() -> None:
    other = {"hopper": [1.0, 0.5, 0.4], "ant": [0.3, 0.3], "swimmer": [0.6, 0.9]}
    expected = np.mean(
        [
            stats.mannwhitneyu(SCORES[task], other[task]).statistic / (len(SCORES[task]) * len(other[task]))
            for task in SCORES
        ]
    )
    assert statistics.probability_of_improvement(SCORES, other) == pytest.approx(expected)
    interval = statistics.probability_of_improvement_interval(SCORES, other, rng=rng())
    assert interval.estimate == pytest.approx(expected)
    assert 0.0 <= interval.lower < expected < interval.upper <= 1.0


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=6), st.lists(st.integers(0, 5), min_size=2, max_size=6)
)
def test_swapping_the_sides_turns_an_improvement_into_its_complement(x: list[float], y: list[float]) -> None:
    forth = statistics.probability_of_improvement({"t": x}, {"t": y})
    back = statistics.probability_of_improvement({"t": y}, {"t": x})
    assert forth + back == pytest.approx(1.0)


def test_a_clear_improvement_is_certain_and_one_seed_has_no_interval() -> None:
    interval = statistics.probability_of_improvement_interval({"t": [2.0, 3.0]}, {"t": [0.0, 1.0]}, rng=rng())
    assert interval == statistics.Interval(1.0, 1.0, 1.0)
    assert np.isnan(
        statistics.probability_of_improvement_interval({"t": [2]}, {"t": [0, 1]}, rng=rng()).upper
    )
    with pytest.raises(ValueError, match="same tasks"):
        statistics.probability_of_improvement({"t": [1]}, {"u": [1]})


def test_the_normalised_score_follows_its_definition_by_hand() -> None:
    # means 60, 10 and 110: (60 - 10) / (110 - 10)
    assert statistics.normalised_score([50, 70], [0, 20], [100, 120]) == pytest.approx(0.5)
    assert statistics.normalised_score([-5], [-10], [-5]) == pytest.approx(1.0)


@given(st.floats(-1e3, 1e3), st.floats(0.1, 10.0))
def test_shifting_and_scaling_all_returns_leaves_the_score_unchanged(shift: float, scale: float) -> None:
    sides = [np.array([50.0, 71.0]), np.array([0.0, 20.0]), np.array([100.0, 125.0])]
    moved = [list(scale * side + shift) for side in sides]
    assert statistics.normalised_score(*moved) == pytest.approx(
        statistics.normalised_score(*map(list, sides))
    )


@pytest.mark.parametrize("true", [[10.0, 10.0], [9.0, 10.0]])
def test_a_baseline_no_better_than_untrained_is_refused(true: list[float]) -> None:
    with pytest.raises(UsageError, match="not above the untrained return 10; train"):
        statistics.normalised_score([50, 70], [10, 10], true)


@pytest.mark.parametrize("learned", [[], [1.0], [1.0, float("nan")]])
def test_a_score_needs_the_same_finite_seeds_on_every_side(learned: list[float]) -> None:
    with pytest.raises(UsageError, match="a normalised score needs"):
        statistics.normalised_score(learned, [0.0, 0.0], [1.0, 2.0])


def test_the_score_interval_pairs_the_seeds() -> None:
    # learned is halfway on every seed: paired draws always score 1/2, draws apart would not
    interval = statistics.normalised_score_interval([60, 110, 40], [20, 20, 20], [100, 200, 60], rng=rng())
    assert (interval.estimate, interval.lower, interval.upper) == pytest.approx((0.5, 0.5, 0.5))


def test_the_score_interval_agrees_with_a_plain_loop() -> None:
    sides = np.array([[50.0, 72.0, 61.0, 90.0], [0.0, 20.0, 5.0, 1.0], [100.0, 125.0, 80.0, 99.0]])
    generator = rng(9)
    replicates = [
        statistics.normalised_score(*(sides[:, generator.integers(0, 4, 4)].tolist())) for _ in range(4_000)
    ]
    interval = statistics.normalised_score_interval(*sides.tolist(), resamples=20_000, rng=rng())
    assert (interval.lower, interval.upper) == pytest.approx(
        np.quantile(replicates, [0.025, 0.975]), abs=0.015
    )


def test_an_unsound_baseline_opens_the_score_interval() -> None:
    interval = statistics.normalised_score_interval([1.0, 2.0], [0.0, 0.0], [4.0, -1.0], rng=rng())
    assert interval.estimate == pytest.approx(1.0)
    assert (interval.lower, interval.upper) == (-np.inf, np.inf)
    assert np.isnan(statistics.normalised_score_interval([1.0], [0.0], [2.0], rng=rng()).lower)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=30))
def test_spearman_agrees_with_scipy_ties_included(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(side, float) for side in zip(*pairs, strict=True))
    ours = statistics.spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(stats.spearmanr(x, y).statistic)


def test_spearman_has_no_value_for_too_little_or_missing_data() -> None:
    assert np.isnan(statistics.spearman([1.0], [2.0]))
    assert np.isnan(statistics.spearman([1.0, np.nan, 3.0], [1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="pairs"):
        statistics.spearman([1.0, 2.0], [1.0])


def test_curves_are_interpolated_and_averaged_only_where_they_exist() -> None:
    curves = [([0, 10, 20], [0.0, 10.0, 20.0]), ([0, 20], [10.0, 10.0]), ([10, 20], [np.nan, 30.0])]
    curve = statistics.aggregate_curves(curves, [-5, 0, 5, 20, 21], rng=rng())
    np.testing.assert_array_equal(curve.seeds, [0, 2, 2, 3, 0])
    np.testing.assert_allclose(curve.mean, [np.nan, 5.0, 7.5, 20.0, np.nan])
    np.testing.assert_allclose(curve.lower, [np.nan, 0.0, 5.0, 10.0, np.nan])
    np.testing.assert_allclose(curve.upper, [np.nan, 10.0, 10.0, 30.0, np.nan])


def test_the_interval_of_a_curve_is_the_bootstrap_interval_of_its_points() -> None:
    values = rng(10).normal(size=(6, 3))
    curve = statistics.aggregate_curves(
        [([0, 1, 2], row) for row in values], [0, 1, 2], resamples=20_000, rng=rng()
    )
    for point in range(3):
        alone = statistics.bootstrap_interval(values[:, point], resamples=20_000, rng=rng(11))
        assert (curve.lower[point], curve.upper[point]) == pytest.approx((alone.lower, alone.upper), abs=0.03)


def test_a_single_curve_has_no_interval_and_no_curve_has_no_mean() -> None:
    alone = statistics.aggregate_curves([([0, 1], [2.0, 4.0])], [0.5], rng=rng())
    assert alone.mean[0] == 3.0
    assert np.isnan(alone.lower[0])
    assert np.isnan(statistics.aggregate_curves([], [0.5], rng=rng()).mean[0])
    assert np.isnan(statistics.aggregate_curves([([0.0], [np.nan])], [0.0], rng=rng()).mean[0])


@pytest.mark.parametrize("curve", [([0, 1], [1.0]), ([1, 0], [1.0, 2.0])])
def test_a_curve_with_impossible_steps_is_refused(curve: tuple[list[int], list[float]]) -> None:
    with pytest.raises(ValueError, match="curve"):
        statistics.aggregate_curves([curve], [0.0], rng=rng())


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (57, 60), (1, 1)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_wilson_interval_agrees_with_scipy(successes: int, trials: int, confidence: float) -> None:
    ours = statistics.wilson_interval(successes, trials, confidence=confidence)
    theirs = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert (ours.lower, ours.upper) == pytest.approx((theirs.low, theirs.high))
    assert ours.estimate == successes / trials


def test_no_trial_says_nothing_and_impossible_counts_are_refused() -> None:
    interval = statistics.wilson_interval(0, 0)
    assert np.isnan(interval.estimate)
    assert (interval.lower, interval.upper) == (0.0, 1.0)
    with pytest.raises(ValueError, match="impossible"):
        statistics.wilson_interval(3, 2)


def test_explained_variance_is_one_for_the_target_and_zero_for_a_constant() -> None:
    target = np.array([1.0, 2.0, 4.0])
    assert statistics.explained_variance(target, target) == 1.0
    assert statistics.explained_variance(np.zeros(3), target) == 0.0
    assert statistics.explained_variance(-target, target) == pytest.approx(-3.0)
    assert np.isnan(statistics.explained_variance(target, np.ones(3)))
    with pytest.raises(ValueError, match="shape"):
        statistics.explained_variance(np.zeros(2), target)
