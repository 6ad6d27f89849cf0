"""Candidate pairs and their selection."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.candidates import draw_candidate_pairs
from prefrl.queries import (
    DisagreementQueries,
    QuerySelector,
    RandomQueries,
    disagreement,
    select_clear_pairs,
)

seeds = st.integers(0, 2**16)


def unordered(pairs: np.ndarray) -> list[tuple[int, int]]:
    return [(int(min(pair)), int(max(pair))) for pair in pairs]


@given(segments=st.integers(0, 30), count=st.integers(0, 60), excluded=st.integers(0, 60), seed=seeds)
@settings(max_examples=200)
def test_candidates_are_distinct_pairs_of_different_segments_and_none_is_excluded(
    segments: int, count: int, excluded: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    exclude = rng.integers(-1, segments + 2, size=(excluded, 2))
    pairs = draw_candidate_pairs(segments, count, rng, exclude=exclude)
    drawn = unordered(pairs)
    forbidden = {(a, b) for a, b in unordered(exclude) if 0 <= a < b < segments}
    assert pairs.dtype == np.int64
    assert pairs.shape == (min(count, segments * (segments - 1) // 2 - len(forbidden)), 2)
    assert all(0 <= low < high < segments for low, high in drawn)
    assert len(set(drawn)) == len(drawn)
    assert not set(drawn) & forbidden


def test_every_pair_and_either_side_is_equally_likely() -> None:
    rng = np.random.default_rng(0)
    exclude = np.array([[3, 1]])
    draws = 12_000
    counts: Counter[tuple[int, ...]] = Counter()
    for _ in range(draws // 3):
        counts.update(tuple(pair) for pair in draw_candidate_pairs(5, 3, rng, exclude=exclude).tolist())
    assert len(counts) == 18
    expected = draws / 18
    assert max(abs(count - expected) for count in counts.values()) < 5 * math.sqrt(expected)


def test_pools_of_many_segments_are_drawn_from_throughout() -> None:
    pairs = draw_candidate_pairs(1_000_000, 5_000, np.random.default_rng(0))
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert len(set(unordered(pairs))) == 5_000
    quarters = np.bincount(pairs.ravel() // 250_000, minlength=4)
    assert quarters.min() > 2_200
    assert quarters.max() < 2_800


def test_every_pair_of_a_pool_is_found() -> None:
    pairs = draw_candidate_pairs(60, 10_000, np.random.default_rng(0))
    assert set(unordered(pairs)) == {(a, b) for b in range(60) for a in range(b)}


def test_negative_numbers_of_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        draw_candidate_pairs(3, -1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="cannot draw"):
        draw_candidate_pairs(-3, 1, np.random.default_rng(0))


def test_the_disagreement_equals_its_equation_computed_by_hand() -> None:
    # Predicted preferences 3/4 and 1/4 for the first pair, 1/2 and 1/2 for the second.
    log3 = math.log(3)
    returns = np.array([[[log3, 0.0], [5.0, 5.0]], [[0.0, log3], [-2.0, -2.0]]])
    np.testing.assert_allclose(disagreement(returns), [1 / 16, 0.0])


def test_of_a_set_the_disagreement_is_the_mean_over_its_pairs() -> None:
    returns = np.random.default_rng(0).normal(size=(3, 6, 4))
    pairs = [(first, second) for second in range(4) for first in range(second)]
    expected = np.mean([disagreement(returns[..., [first, second]]) for first, second in pairs], axis=0)
    np.testing.assert_allclose(disagreement(returns), expected)


def test_of_single_segments_it_is_the_variance_of_what_members_think_of_them_among_others() -> None:
    # Standardised, the members say -1, 0, 1 and 1, 0, -1 times sqrt(3/2).
    returns = np.array([[[0.0], [1.0], [2.0]], [[300.0], [200.0], [100.0]]])
    np.testing.assert_allclose(disagreement(returns), [1.5, 0.0, 1.5])
    same_order = np.array([[[0.0], [1.0], [2.0]], [[-10.0], [0.0], [10.0]]])
    np.testing.assert_allclose(disagreement(same_order), 0.0, atol=1e-12)
    np.testing.assert_allclose(disagreement(np.ones((2, 3, 1))), 0.0)  # a constant reward says nothing


@pytest.mark.parametrize("size", [1, 3])
def test_candidates_of_any_size_are_selected_best_first(size: int) -> None:
    rng = np.random.default_rng(1)
    returns = rng.normal(size=(3, 20, size))
    chosen = DisagreementQueries().select(returns, np.zeros((20, size), np.int64), 6, rng)
    np.testing.assert_array_equal(chosen, np.argsort(-disagreement(returns))[:6])


def test_members_that_disagree_about_scale_only_hardly_disagree() -> None:
    sure = np.array([[[9.0, 0.0]], [[90.0, 0.0]]])
    opposed = np.array([[[9.0, 0.0]], [[0.0, 9.0]]])
    assert disagreement(sure)[0] < 1e-6 < disagreement(opposed)[0] <= 0.25


@given(seed=seeds, shift=st.floats(-100, 100))
def test_swapping_or_shifting_both_sides_leaves_the_disagreement_unchanged(seed: int, shift: float) -> None:
    returns = np.random.default_rng(seed).normal(size=(3, 8, 2))
    expected = disagreement(returns)
    np.testing.assert_allclose(disagreement(returns[..., ::-1]), expected)
    np.testing.assert_allclose(disagreement(returns + shift), expected, atol=1e-12)


@given(seed=seeds, n=st.integers(0, 30))
def test_disagreement_keeps_the_pairs_of_highest_variance_best_first(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=(3, 20, 2))
    chosen = DisagreementQueries().select(returns, np.zeros((20, 2), np.int64), n, rng)
    np.testing.assert_array_equal(chosen, np.argsort(-disagreement(returns))[:n])


@given(seed=seeds)
def test_permuting_the_candidates_selects_the_same_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns, pairs = rng.normal(size=(3, 20, 2)), draw_candidate_pairs(50, 20, rng)
    order = rng.permutation(20)
    plain = DisagreementQueries().select(returns, pairs, 5, rng)
    permuted = DisagreementQueries().select(returns[:, order], pairs[order], 5, rng)
    np.testing.assert_array_equal(pairs[plain], pairs[order][permuted])


@pytest.mark.parametrize("selector", [RandomQueries(), DisagreementQueries()])
def test_where_nothing_tells_candidates_apart_each_is_equally_likely(selector: QuerySelector) -> None:
    rng, counts = np.random.default_rng(0), np.zeros(10)
    returns, pairs = np.zeros((3, 10, 2)), np.zeros((10, 2), np.int64)
    for _ in range(2000):
        chosen = selector.select(returns, pairs, 3, rng)
        assert len(set(chosen.tolist())) == 3
        counts[chosen] += 1
    assert np.abs(counts - 600).max() < 110


@pytest.mark.parametrize("selector", [RandomQueries(), DisagreementQueries()])
def test_fewer_candidates_than_wanted_are_all_selected(selector: QuerySelector) -> None:
    chosen = selector.select(np.zeros((2, 4, 2)), np.zeros((4, 2), np.int64), 9, np.random.default_rng(0))
    assert chosen.dtype == np.int64
    assert sorted(chosen.tolist()) == [0, 1, 2, 3]


def test_random_queries_need_no_returns() -> None:
    assert not RandomQueries().needs_returns
    assert DisagreementQueries().needs_returns
    assert len(RandomQueries().select(None, np.zeros((4, 2), np.int64), 2, np.random.default_rng(0))) == 2


@pytest.mark.parametrize(
    "returns", [None, np.zeros((3, 5, 2)), np.zeros((4, 2)), np.full((3, 4, 2), math.nan)]
)
def test_disagreement_refuses_returns_that_do_not_fit(returns: np.ndarray | None) -> None:
    with pytest.raises(ValueError, match="return"):
        DisagreementQueries().select(returns, np.zeros((4, 2), np.int64), 2, np.random.default_rng(0))


def test_the_clearest_pairs_are_chosen_and_no_segment_twice() -> None:
    returns = np.array([0.0, 10.0, 1.0, 8.0, 5.0, 5.5])  # standard deviation 3.6
    pairs = np.array([[4, 5], [0, 1], [3, 0], [2, 3], [1, 2]])
    assert select_clear_pairs(returns, pairs, 3).tolist() == [[0, 1], [2, 3]]
    assert select_clear_pairs(returns, pairs, 1).tolist() == [[0, 1]]


def test_where_all_returns_are_alike_no_pair_is_clear() -> None:
    pairs = np.array([[0, 1], [2, 3]])
    assert select_clear_pairs(np.zeros(4), pairs, 2).shape == (0, 2)
