"""Ratings: hand-computed numbers, invariances, coverage of the intervals, games that fix no rating."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.errors import UsageError
from prefrl.ratings import POINTS_PER_NAT, Rating, bradley_terry_ratings, elo_ratings, win_probability

NAMES = ("a", "b", "c", "d")


def some_games(seed: int, games: int = 60) -> tuple[list[tuple[str, str]], list[float]]:
    rng = np.random.default_rng(seed)
    pairs = [tuple(rng.choice(NAMES, 2, replace=False).tolist()) for _ in range(games)]
    return pairs, rng.choice([0.0, 0.5, 1.0], games).tolist()


def by_name(ratings: list[Rating]) -> dict[str, float]:
    return {rating.player: rating.points.estimate for rating in ratings}


def test_elo_equals_numbers_computed_by_hand() -> None:
    # Equals: 16 points change hands. Then 400 points ahead, expected 10/11, a draw costs 32 · (1/2 - 10/11).
    assert elo_ratings([("a", "b")], [1.0]) == {"a": 16.0, "b": -16.0}
    after = elo_ratings([("a", "b")], [0.5], initial={"a": 400.0, "z": 5.0})
    assert after["a"] == pytest.approx(400.0 + 32 * (0.5 - 10 / 11))
    assert after["a"] + after["b"] == pytest.approx(400.0)
    assert after["z"] == 5.0


def test_two_players_are_rated_by_the_odds_of_their_games() -> None:
    ratings = bradley_terry_ratings([("a", "b")] * 4, [1.0, 1.0, 1.0, 0.0], prior_draws=0.0)
    assert [rating.player for rating in ratings] == ["a", "b"]
    difference = ratings[0].points.estimate - ratings[1].points.estimate
    assert difference == pytest.approx(POINTS_PER_NAT * math.log(3))
    # The information about the difference is 4 · 3/4 · 1/4, and each player has half of it on either side.
    deviation = POINTS_PER_NAT * (4 * 3 / 16) ** -0.5 / 2
    assert ratings[0].points.upper - ratings[0].points.estimate == pytest.approx(
        1.959964 * deviation, rel=1e-6
    )
    assert [rating.games for rating in ratings] == [4, 4]
    assert win_probability(*(rating.points.estimate for rating in ratings)) == pytest.approx(0.75)


def test_the_most_likely_ratings_expect_as_many_wins_as_there_were() -> None:
    pairs, preferences = some_games(1)
    points = by_name(bradley_terry_ratings(pairs, preferences, prior_draws=0.0))
    for name in NAMES:
        games = [(pair, score) for pair, score in zip(pairs, preferences, strict=True) if name in pair]
        won = sum(score if pair[0] == name else 1 - score for pair, score in games)
        expected = sum(win_probability(points[name], points[pair[pair[0] == name]]) for pair, _ in games)
        assert won == pytest.approx(expected)


@given(seed=st.integers(0, 2**16))
def test_ratings_do_not_depend_on_sides_order_or_names(seed: int) -> None:
    pairs, preferences = some_games(seed)
    points = by_name(bradley_terry_ratings(pairs, preferences))
    order = np.random.default_rng(seed).permutation(len(pairs))
    renamed = dict(zip(NAMES, ("q", "p", "z", "x"), strict=True))
    swapped = [(renamed[pairs[i][1]], renamed[pairs[i][0]]) for i in order]
    again = by_name(bradley_terry_ratings(swapped, [1 - preferences[i] for i in order]))
    assert [again[renamed[name]] for name in NAMES] == pytest.approx(
        [points[name] for name in NAMES], abs=1e-6
    )
    assert sum(points.values()) == pytest.approx(0.0, abs=1e-6)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng, truth = np.random.default_rng(0), {"a": 0.8, "b": 0.2, "c": -0.3, "d": -0.7}
    held = total = 0
    for _ in range(150):
        pairs = [(x, y) for x in NAMES for y in NAMES if x < y for _ in range(25)]
        chances = [1 / (1 + math.exp(truth[y] - truth[x])) for x, y in pairs]
        outcomes = (rng.random(len(pairs)) < chances).astype(float).tolist()
        for rating in bradley_terry_ratings(pairs, outcomes, prior_draws=0.0):
            held += rating.points.lower <= POINTS_PER_NAT * truth[rating.player] <= rating.points.upper
            total += 1
    assert 0.92 <= held / total <= 0.98


def test_who_won_every_game_has_a_finite_rating_only_with_prior_draws() -> None:
    pairs, preferences = [("a", "b"), ("b", "c"), ("c", "b")], [1.0, 1.0, 1.0]
    with pytest.raises(UsageError, match=r"'b' beat 'a' neither directly.*prior_draws above 0"):
        bradley_terry_ratings(pairs, preferences, prior_draws=0.0)
    points = by_name(bradley_terry_ratings(pairs, preferences))
    assert points["a"] > points["b"] > -math.inf


def test_players_who_never_met_are_not_rated_without_prior_draws() -> None:
    with pytest.raises(UsageError, match="play more games"):
        bradley_terry_ratings([("a", "b"), ("c", "d")], [0.5, 0.5], prior_draws=0.0)


def test_a_thousand_wins_are_no_trouble() -> None:
    (best, _) = bradley_terry_ratings([("a", "b")] * 1000, [1.0] * 1000, prior_draws=0.1)
    assert math.isfinite(best.points.estimate)
    assert best.points.lower < best.points.estimate < best.points.upper


@pytest.mark.parametrize(
    ("pairs", "preferences", "complaint"),
    [
        ([("a", "b")], [], "1 games and 0 preferences"),
        ([("a", "a")], [1.0], "'a' plays against itself"),
        ([("a", "b")], [1.5], r"'a' against 'b' is 1\.5"),
        ([("a", "b")], [math.nan], "is nan"),
        ([], [], "ratings need games"),
    ],
)
def test_games_that_cannot_be_are_refused(
    pairs: list[tuple[str, str]], preferences: list[float], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        bradley_terry_ratings(pairs, preferences)
