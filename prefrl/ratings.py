"""Ratings of whatever was compared: responses, clips, checkpoints. Elo in order, Bradley-Terry over all.

Both are in Elo points: 400 points are odds of ten to one. Only differences of ratings mean anything. A
comparison is a game between two players, a preference its outcome for the left one: 1, 0, or 1/2 for a draw.
Needs numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from prefrl.bootstrap import FloatArray, Interval, check_bootstrap
from prefrl.errors import UsageError

POINTS_PER_NAT: Final = 400.0 / math.log(10.0)
_STEPS = 200


@dataclass(frozen=True)
class Rating:
    """What is known of one player."""

    player: str
    points: Interval
    """Elo points; the mean over all players is 0."""
    games: int


def elo_ratings(
    players: Sequence[tuple[str, str]],
    preferences: Sequence[float],
    *,
    initial: Mapping[str, float] | None = None,
    largest_change: float = 32.0,
) -> dict[str, float]:
    """Ratings after games in the order in which they were played: each moves both by how surprising it was.

    ``R_l += K (s − E)`` and ``R_r −= K (s − E)`` with ``E = 1 / (1 + 10^((R_r − R_l) / 400))``.
    Elo 1978. What was played last weighs most, so it follows players that change, and its order matters; for
    players that stay as they are :func:`bradley_terry_ratings` knows more from the same games.

    Args:
        players: left and right of each game.
        preferences: s in [0, 1] for each game.
        initial: ratings to begin from; 0 for who is not in it.
        largest_change: K, in points.

    Raises:
        UsageError: numbers that differ, a preference outside [0, 1], a player against itself.
    """
    _check_games(players, preferences)
    ratings = dict(initial or {})
    for (left, right), score in zip(players, preferences, strict=True):
        ahead = ratings.get(left, 0.0) - ratings.get(right, 0.0)
        change = largest_change * (score - 1.0 / (1.0 + 10.0 ** (-ahead / 400.0)))
        ratings[left] = ratings.get(left, 0.0) + change
        ratings[right] = ratings.get(right, 0.0) - change
    return ratings


def bradley_terry_ratings(
    players: Sequence[tuple[str, str]],
    preferences: Sequence[float],
    *,
    prior_draws: float = 1.0,
    confidence: float = 0.95,
) -> list[Rating]:
    """The most likely ratings under ``P(left wins) = σ(θ_l − θ_r)``, best first, with intervals.

    Bradley and Terry 1952, by Newton's method; a draw is half a win for both. Every player also plays
    ``prior_draws`` draws against an average one: without, who wins every game is rated infinitely high.
    Intervals are normal, from the inverse of the observed information, and of a player's rating beside the
    mean of all; the interval of a difference of two is narrower than theirs put together.

    Args:
        players: left and right of each game.
        preferences: P(left is better) for each game.
        prior_draws: not below 0; 0 is plain maximum likelihood.
        confidence: of the intervals.

    Raises:
        UsageError: as :func:`elo_ratings`; no game; or, without prior draws, ratings that are not finite: a
            group of players that lost no game, or won none, against the others.
    """
    check_bootstrap(confidence, 1)
    _check_games(players, preferences)
    if not players or not prior_draws >= 0:
        raise UsageError(f"ratings need games and prior_draws not below 0, not {prior_draws}")
    names = sorted({player for pair in players for player in pair})
    index = {name: place for place, name in enumerate(names)}
    wins, games = np.zeros((2, len(names), len(names)))
    for (left, right), score in zip(players, preferences, strict=True):
        wins[index[left], index[right]] += score
        wins[index[right], index[left]] += 1.0 - score
    games = wins + wins.T
    if prior_draws == 0:
        _check_connected(wins, names)
    theta, information = _fit(wins, games, prior_draws)
    centring = np.eye(len(names)) - 1.0 / len(names)
    deviation = np.sqrt(np.diag(centring @ np.linalg.pinv(information) @ centring).clip(min=0.0))
    points = POINTS_PER_NAT * (theta - theta.mean())
    reach = POINTS_PER_NAT * NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    found = [
        Rating(name, Interval(float(p), float(p - r), float(p + r)), int(n))
        for name, p, r, n in zip(names, points, reach, games.sum(1).round(), strict=True)
    ]
    return sorted(found, key=lambda rating: (-rating.points.estimate, rating.player))


def win_probability(left_points: float, right_points: float) -> float:
    """``1 / (1 + 10^((R_r − R_l) / 400))``: what two ratings say of the next game."""
    return 1.0 / (1.0 + 10.0 ** ((right_points - left_points) / 400.0))


def _fit(wins: FloatArray, games: FloatArray, prior_draws: float) -> tuple[FloatArray, FloatArray]:
    """Log-strengths and the information about them, ``[players]`` and ``[players, players]``."""
    theta = np.zeros(len(wins))
    for _ in range(_STEPS):
        expected = 1.0 / (1.0 + np.exp(theta[None, :] - theta[:, None]))
        against_average = 1.0 / (1.0 + np.exp(-theta))
        gradient = (wins - games * expected).sum(1) + prior_draws * (0.5 - against_average)
        weights = games * expected * (1.0 - expected)
        information = (
            np.diag(weights.sum(1) + prior_draws * against_average * (1.0 - against_average)) - weights
        )
        step = np.linalg.pinv(information) @ gradient
        step *= min(1.0, 1.0 / max(np.abs(step).max(), 1e-300))  # a nat at a time: far out Newton overshoots
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    return theta, information


def _check_games(players: Sequence[tuple[str, str]], preferences: Sequence[float]) -> None:
    if len(players) != len(preferences):
        raise UsageError(f"{len(players)} games and {len(preferences)} preferences: give one for each game")
    for (left, right), score in zip(players, preferences, strict=True):
        if left == right:
            raise UsageError(f"{left!r} plays against itself: compare different ones")
        if not 0.0 <= score <= 1.0:
            raise UsageError(f"the preference of {left!r} against {right!r} is {score}: give one in [0, 1]")


def _check_connected(wins: FloatArray, names: Sequence[str]) -> None:
    """Ford 1957: the ratings are finite if, however players are parted in two, each part beat the other."""
    reaches: NDArray[np.bool_] = (wins > 0) | np.eye(len(names), dtype=bool)
    for _ in range(len(names).bit_length()):
        reaches = (reaches.astype(np.int64) @ reaches.astype(np.int64)) > 0
    if not reaches.all():
        better, worse = map(int, np.argwhere(~reaches)[0])
        raise UsageError(
            f"{names[better]!r} beat {names[worse]!r} neither directly nor by way of others, so no finite"
            " ratings are the most likely: give prior_draws above 0, or play more games"
        )
