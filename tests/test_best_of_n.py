"""Best of n: hand-computed numbers, enumeration of subsets, ties, the cost in KL, rejection sampling."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.best_of_n import (
    best_of_n_gold,
    best_of_n_kl,
    choose_best,
    choose_for_imitation,
    majority_share,
    pass_at_k,
)


def test_the_cost_of_best_of_n_equals_its_equation() -> None:
    assert best_of_n_kl(1) == 0.0
    assert best_of_n_kl(16) == pytest.approx(math.log(16) - 15 / 16)
    with pytest.raises(ValueError, match="best of 0"):
        best_of_n_kl(0)


def test_the_cost_is_the_exact_divergence_where_no_two_samples_tie() -> None:
    # Of many equally likely outcomes the best of four is the i-th with probability (i^4 - (i-1)^4) / N^4.
    outcomes = 100_000
    grid = np.arange(outcomes + 1) / outcomes
    best = np.diff(grid**4)
    assert (best * np.log(best * outcomes)).sum() == pytest.approx(best_of_n_kl(4), abs=1e-3)


def test_the_best_is_chosen_among_those_there_are_and_the_first_of_equals() -> None:
    scores = [[1.0, 3.0, 3.0], [9.0, math.nan, -math.inf], [5.0, 1.0, 2.0]]
    mask = [[True, True, True], [False, False, True], [False, True, True]]
    assert choose_best(scores, mask).tolist() == [1, 2, 2]
    assert choose_best([4.0, 7.0]).tolist() == 1


@pytest.mark.parametrize(
    ("scores", "mask", "complaint"),
    [([[1.0, math.nan]], None, "not a number"), ([[1.0, 2.0]], [[False, False]], "no sample to choose")],
)
def test_samples_that_cannot_be_chosen_from_are_refused(scores: object, mask: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        choose_best(scores, mask)  # type: ignore[arg-type]


@given(seed=st.integers(0, 2**16), n=st.integers(1, 6))
def test_the_expected_gold_is_the_mean_over_all_subsets(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    proxy, gold = rng.normal(size=6), rng.normal(size=6)
    chosen = [max(subset, key=lambda place: proxy[place]) for subset in combinations(range(6), n)]
    assert best_of_n_gold(proxy, gold, n) == pytest.approx(gold[chosen].mean())


@given(seed=st.integers(0, 2**16), n=st.integers(1, 5))
def test_samples_that_tie_share_their_place_whatever_their_order(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    proxy, gold, order = rng.integers(0, 3, size=5), rng.normal(size=5), rng.permutation(5)
    # Break ties in all ways at random: the mean over many is the shared place.
    shared = best_of_n_gold(proxy, gold, n)
    assert best_of_n_gold(proxy[order], gold[order], n) == pytest.approx(shared)
    broken = [best_of_n_gold(proxy + 1e-6 * rng.permutation(5), gold, n) for _ in range(2000)]
    assert np.mean(broken) == pytest.approx(shared, abs=0.1)


def test_best_of_one_is_the_mean_and_best_of_all_the_gold_of_the_best_proxy() -> None:
    proxy, gold = np.array([[1.0, 5.0, 2.0], [0.0, -1.0, 3.0]]), np.array([[1.0, 2.0, 6.0], [4.0, 4.0, 7.0]])
    assert best_of_n_gold(proxy, gold, 1).tolist() == pytest.approx([3.0, 5.0])
    assert best_of_n_gold(proxy, gold, 3).tolist() == pytest.approx([2.0, 7.0])
    assert best_of_n_gold(proxy, proxy, 2).tolist() == pytest.approx([(2 + 5 + 5) / 3, 2.0])
    with pytest.raises(ValueError, match=r"give n in 1 \.\. 3"):
        best_of_n_gold(proxy, gold, 4)


@pytest.mark.parametrize(
    ("samples", "right", "k", "expected"),
    [(5, 0, 3, 0.0), (5, 5, 1, 1.0), (4, 1, 1, 0.25), (4, 1, 2, 0.5), (4, 2, 2, 1 - 1 / 6), (10, 3, 8, 1.0)],
)
def test_pass_at_k_equals_numbers_computed_by_hand(samples: int, right: int, k: int, expected: float) -> None:
    assert pass_at_k(samples, right, k) == pytest.approx(expected)


def test_pass_at_k_is_unbiased_by_enumeration() -> None:
    # Three in ten right: the mean over all outcomes of six samples is 1 - 0.7^2.
    mean = sum(math.comb(6, c) * 0.3**c * 0.7 ** (6 - c) * pass_at_k(6, c, 2) for c in range(7))
    assert mean == pytest.approx(1 - 0.7**2)


@pytest.mark.parametrize(("samples", "right", "k"), [(3, 4, 1), (3, 1, 4), (3, 1, 0), (0, 0, 1)])
def test_impossible_counts_are_refused(samples: int, right: int, k: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        pass_at_k(samples, right, k)


def test_the_majority_wins_and_ties_are_luck() -> None:
    assert majority_share(["7", "7", "5"], "7") == 1.0
    assert majority_share(["7", "5", "5"], "7") == 0.0
    assert majority_share(["7", "5", None, None, None], "7") == 0.5
    assert majority_share([None, None], "7") == 0.0


def test_the_best_of_each_prompt_that_score_enough_are_kept_in_their_order() -> None:
    scores, prompts = [0.2, 0.9, 0.8, 0.9, 0.1, 0.95], [7, 7, 3, 7, 3, 3]
    assert choose_for_imitation(scores, prompts).tolist() == [1, 5]
    assert choose_for_imitation(scores, prompts, per_prompt=2).tolist() == [1, 2, 3, 5]
    assert choose_for_imitation(scores, prompts, per_prompt=9, at_least=0.9).tolist() == [1, 3, 5]
    assert choose_for_imitation([], []).tolist() == []


@pytest.mark.parametrize(
    ("scores", "prompts", "per_prompt"), [([1.0], [1, 2], 1), ([math.nan], [1], 1), ([1.0], [1], 0)]
)
def test_scores_that_cannot_be_kept_by_are_refused(
    scores: list[float], prompts: list[int], per_prompt: int
) -> None:
    with pytest.raises(ValueError, match=r"must both be|cannot keep"):
        choose_for_imitation(scores, prompts, per_prompt=per_prompt)
