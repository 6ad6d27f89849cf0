"""Candidates: what queries may be about, drawn from a pool, about ten times as many as are asked."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

CANDIDATES_PER_QUERY: Final = 10
"""Christiano et al. 2017, A.1 and A.2: about 10 times as many candidates as queries."""


def draw_candidate_pairs(
    num_segments: int,
    count: int,
    rng: np.random.Generator,
    *,
    exclude: Integers | None = None,
) -> Integers:
    """Random pairs of different segments, no pair twice, every pair equally likely, sides by a coin.

    Args:
        num_segments: segments in the pool.
        count: pairs wanted.
        rng: randomness.
        exclude: ``[k, 2]``, pairs not to draw again, in either order. Rows with an index outside the pool
            (a segment that has left it, say −1) exclude nothing.

    Returns:
        ``[c, 2]``, indices in [0, num_segments), left and right; c is ``count``, or all that there are.

    Raises:
        ValueError: a negative count or size.
    """
    if num_segments < 0 or count < 0:
        raise ValueError(f"cannot draw {count} pairs from {num_segments} segments")
    taken = _pair_numbers(exclude)
    total = num_segments * (num_segments - 1) // 2
    # So many more as are taken: whatever is struck out, enough remain, and those are still uniform.
    drawn = rng.choice(total, size=min(total, count + len(taken)), replace=False)
    numbers = drawn[~np.isin(drawn, taken)][:count]
    high, low = _pair_from_number(numbers)
    left_is_high = rng.random(len(numbers)) < 0.5
    return np.stack([np.where(left_is_high, high, low), np.where(left_is_high, low, high)], axis=1)


def draw_candidate_sets(num_segments: int, size: int, count: int, rng: np.random.Generator) -> Integers:
    """Random sets of different segments, in random order, no set twice, every set equally likely.

    Args:
        num_segments: segments in the pool.
        size: of each set, 2 or more.
        count: sets wanted.
        rng: randomness.

    Returns:
        ``[c, size]``, indices in [0, num_segments); c is ``count``, or all that there are.

    Raises:
        ValueError: a size below 2, or a negative count.
    """
    if size < 2 or count < 0:
        raise ValueError(f"cannot draw {count} sets of {size} segments")
    wanted = min(count, math.comb(num_segments, size))
    found = np.zeros((0, size), np.int64)
    while len(found) < wanted:
        drawn = rng.integers(num_segments, size=(2 * wanted + 32, size))
        different = (np.diff(np.sort(drawn, axis=1), axis=1) > 0).all(axis=1)
        found = np.concatenate([found, drawn[different]])
        _, first = np.unique(np.sort(found, axis=1), axis=0, return_index=True)
        found = found[np.sort(first)]
    return found[:wanted]


def draw_candidate_singles(allowed: Integers, count: int, rng: np.random.Generator) -> Integers:
    """Random segments, none twice, ``[c, 1]``; c is ``count``, or all that are ``allowed [a]``."""
    return rng.permutation(np.asarray(allowed, np.int64))[:count, None]


def _pair_numbers(pairs: Integers | None) -> Integers:
    """The number of each pair {low < high}: high (high − 1)/2 + low.

    Pairs of a smaller pool come first, so an index beyond the pool gives a number that is never drawn.
    """
    if pairs is None or len(pairs) == 0:
        return np.empty(0, np.int64)
    low, high = np.asarray(pairs, np.int64).min(axis=1), np.asarray(pairs, np.int64).max(axis=1)
    proper = (low >= 0) & (low < high)
    return np.unique(high[proper] * (high[proper] - 1) // 2 + low[proper])


def _pair_from_number(numbers: Integers) -> tuple[Integers, Integers]:
    numbers = numbers.astype(np.int64)
    # Exact while 8 · number + 1 < 2^53, that is in pools of fewer than 47 million segments.
    high = ((1.0 + np.sqrt(1.0 + 8.0 * numbers)) / 2.0).astype(np.int64)
    return high, numbers - high * (high - 1) // 2
