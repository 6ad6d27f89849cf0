"""How scripted teachers put segments in order and on a scale, one pure function each.

Every function takes the values that the teacher goes by, uniform random numbers, and the faults that it has.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def plackett_luce_orders(values: Floats, draws: Floats, *, rationality: float, std: float) -> Integers:
    """The places of each set's items, best first: ``[n, k] -> [n, k]``.

    P(order) = ∏ᵢ exp(rationality · vᵢ / std) / Σ_{j ≥ i} exp(rationality · vⱼ / std).
    Plackett 1975; Luce 1959; drawn as the order of the logits plus Gumbel noise (Yellott 1977). With infinite
    rationality the larger value comes first, and of equal ones either, by a coin.
    """
    with np.errstate(divide="ignore", over="ignore"):
        noise = -np.log(-np.log(draws))
    if math.isinf(rationality):
        return np.lexsort((noise, -values)).astype(np.int64)
    logits = rationality * (values - values.max(-1, keepdims=True)) / max(std, np.finfo(np.float64).tiny)
    return np.argsort(-(logits + noise), axis=-1, kind="stable").astype(np.int64)


def unsettle(orders: Integers, returns: Floats, draws: Floats, *, closeness: float) -> Integers:
    """Neighbours of an order whose returns differ by less than ``closeness`` change places by a coin.

    From the last place up, so that of several that are close the worst may come out first: a ranking has no
    other way to call items equal.

    Args:
        orders: ``[n, k]``, places of items, best first.
        returns: ``[n, k]``, of the items.
        draws: ``[n, k - 1]``.
        closeness: 0 changes nothing.
    """
    orders = orders.copy()
    rows = np.arange(len(orders))
    for place in range(orders.shape[1] - 2, -1, -1):
        above, below = orders[:, place].copy(), orders[:, place + 1].copy()
        close = np.abs(returns[rows, above] - returns[rows, below]) < closeness
        change = close & (draws[:, place] < 0.5)
        orders[:, place] = np.where(change, below, above)
        orders[:, place + 1] = np.where(change, above, below)
    return orders


def graded(values: Floats, thresholds: Floats, draws: Floats, *, rationality: float, std: float) -> Integers:
    """How many thresholds each value exceeds, ``[n] -> [n]`` in 0 .. T, as a teacher perceives it.

    P(grade ≤ k) = σ(rationality · (θₖ₊₁ − v) / std), the cumulative model of McCullagh 1980: a value with
    logistic noise. With infinite rationality there is none.
    """
    if not math.isinf(rationality):
        with np.errstate(divide="ignore"):
            values = values + (np.log(draws) - np.log1p(-draws)) * std / rationality
    return np.searchsorted(thresholds, values, side="left").astype(np.int64)


def waver(
    grades: Integers, values: Floats, thresholds: Floats, draws: Floats, *, closeness: float
) -> Integers:
    """Grades of values nearer than ``closeness`` to a threshold fall on either side of it, by a coin."""
    distance = np.abs(values[:, None] - thresholds)
    nearest = distance.argmin(1)
    close = distance[np.arange(len(values)), nearest] < closeness
    return np.where(close, nearest + (draws < 0.5), grades)
