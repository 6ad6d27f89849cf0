"""Which features people prefer more of: shares of pairs, and a Bradley-Terry model with intervals.

Twenty answers are few, and a feature that decides all of them has an infinite maximum-likelihood coefficient.
So coefficients are Firth's, whose penalty keeps them finite and takes away their bias of order 1/n, with
intervals from the profile of the same penalised likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prefrl.bootstrap import FloatArray, Interval
from prefrl.statistics import wilson_interval

QUANTILE = 1.959963984540054
"""Of the normal distribution at 97.5%: what the root of a likelihood ratio may reach."""
FARTHEST = 20.0
"""From the estimate; bounds beyond it are infinite: the votes do not bound the coefficient."""
ITERATIONS = 100


@dataclass(frozen=True)
class Effect:
    """What the votes say about one feature; intervals are of 95%."""

    share: Interval
    """Of the pairs that differ in the feature and have a winner: share won by the larger value (Wilson)."""
    pairs: int
    """Those pairs."""
    coefficient: Interval
    """Change in the log odds of winning per typical difference, the other features held equal; NaN where no
    pair differs."""
    typical: float
    """Root mean square of the differences, in the feature's own unit."""


def find_effects(differences: FloatArray, preference: FloatArray) -> list[Effect]:
    """The effect of each feature on who wins a pair.

    P(left is better) = σ(Σⱼ βⱼ xⱼ), x the differences over their root mean square; no intercept, because
    swapping sides must change nothing. Penalised by ½ log |XᵀWX| (Firth 1993, "Bias reduction of maximum
    likelihood estimates"; Heinze and Schemper 2002, "A solution to the problem of separation in logistic
    regression", for the profile intervals).

    Args:
        differences: left less right. [pairs, features]
        preference: P(left is better) by the votes, in [0, 1]. [pairs]
    """
    typical = np.sqrt(np.mean(differences**2, axis=0)) if len(differences) else np.zeros(differences.shape[1])
    varied = np.flatnonzero(typical > 1e-9)
    scaled = differences[:, varied] / typical[varied]
    coefficients = dict(zip(varied.tolist(), _coefficients(scaled, preference), strict=True))
    none = Interval(float("nan"), float("nan"), float("nan"))
    return [
        Effect(
            *_share(differences[:, place], preference), coefficients.get(place, none), float(typical[place])
        )
        for place in range(differences.shape[1])
    ]


def _share(difference: FloatArray, preference: FloatArray) -> tuple[Interval, int]:
    decided = (difference != 0) & (preference != 0.5)
    won = (difference[decided] > 0) == (preference[decided] > 0.5)
    return wilson_interval(int(won.sum()), len(won)), len(won)


def _coefficients(x: FloatArray, preference: FloatArray) -> list[Interval]:
    features = x.shape[1]
    if not features:
        return []
    free = np.ones(features, bool)
    best, top = _maximum(x, preference, np.zeros(features), free)

    spread = np.sqrt(np.diag(np.linalg.inv(_penalised(x, preference, best)[2])))

    def bound(place: int, direction: float) -> float:
        free = np.arange(features) != place

        def beyond(distance: float) -> float:
            start = best.copy()
            start[place] += direction * distance
            fallen = 2.0 * (top - _maximum(x, preference, start, free)[1])
            return float(np.sqrt(max(0.0, fallen))) - QUANTILE

        return float(best[place]) + direction * _crossing(beyond, QUANTILE * float(spread[place]))

    return [Interval(float(best[j]), bound(j, -1.0), bound(j, 1.0)) for j in range(features)]


def _maximum(
    x: FloatArray, preference: FloatArray, start: FloatArray, free: NDArray[np.bool_]
) -> tuple[FloatArray, float]:
    """Coefficients at which the penalised likelihood is largest over the free ones, and its value there."""
    beta, (value, score, information) = start, _penalised(x, preference, start)
    for _ in range(ITERATIONS):
        step = np.zeros_like(beta)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], score[free])
        step *= min(1.0, 5.0 / max(1e-12, float(np.abs(step).max())))
        while True:
            trial = _penalised(x, preference, beta + step)
            if trial[0] >= value - 1e-12 or np.abs(step).max() < 1e-9:
                break
            step /= 2
        beta, (value, score, information) = beta + step, trial
        if np.abs(step).max() < 1e-7:
            break
    return beta, value


def _penalised(
    x: FloatArray, preference: FloatArray, beta: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """The penalised log-likelihood, Firth's score and the information, at some coefficients."""
    logit = x @ beta
    chance = 1.0 / (1.0 + np.exp(-np.clip(logit, -700.0, 700.0)))
    weight = chance * (1.0 - chance)
    information = (x * weight[:, None]).T @ x + 1e-9 * len(x) * np.eye(len(beta))
    likelihood = -preference @ np.logaddexp(0.0, -logit) - (1.0 - preference) @ np.logaddexp(0.0, logit)
    leverage = weight * ((x @ np.linalg.inv(information)) * x).sum(1)
    score = x.T @ (preference - chance + leverage * (0.5 - chance))
    return float(likelihood + 0.5 * np.linalg.slogdet(information)[1]), score, information


def _crossing(function: Callable[[float], float], guess: float) -> float:
    """Where a growing function that is negative at 0 becomes zero (regula falsi, Illinois); or infinity."""
    inside, below = 0.0, -QUANTILE
    outside = min(guess, FARTHEST / 2)
    while (above := function(outside)) < 0:
        inside, below, outside = outside, above, 2.0 * outside
        if outside > FARTHEST:
            return float("inf")
    middle = outside
    for _ in range(ITERATIONS):
        middle = outside - above * (outside - inside) / (above - below)
        value = function(middle)
        if abs(value) < 1e-4:
            break
        if value < 0:
            inside, below, above = middle, value, above / 2
        else:
            outside, above, below = middle, value, below / 2
    return middle
