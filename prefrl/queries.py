"""Queries: which candidates to put to a teacher; a selector keeps the best.

A candidate is what one query would be about: a pair, a set to be ranked, or a single segment.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from prefrl.candidates import Integers

Floats = NDArray[np.float64]


class QuerySelector(Protocol):
    """Chooses among candidates of one size k: 2 for pairs, 1 for single segments.

    What another selector needs beyond the returns (features for a k-centre, ages) it is given when it is
    made, per segment: ``candidates`` index segments.
    """

    @property
    def needs_returns(self) -> bool:
        """Whether ``candidate_returns`` is used; if not, the caller need not predict any."""
        ...

    def select(
        self, candidate_returns: Floats | None, candidates: Integers, n: int, rng: np.random.Generator
    ) -> Integers:
        """Indices into ``candidates`` of the n best, the best first; all where there are fewer than n.

        Args:
            candidate_returns: ``[m, c, k]``, what each member of the ensemble predicts for every item.
            candidates: ``[c, k]``, indices of segments.
            n: queries wanted.
            rng: breaks ties, so that the order of the candidates never matters.
        """
        ...


class RandomQueries:
    """Any candidates: what the paper compares with, and what Ibarz et al. 2018 use on Atari."""

    needs_returns: Final = False

    def select(
        self,
        candidate_returns: Floats | None,  # noqa: ARG002
        candidates: Integers,
        n: int,
        rng: np.random.Generator,
    ) -> Integers:
        """See ``QuerySelector.select``."""
        return rng.permutation(len(candidates))[:n].astype(np.int64)


class DisagreementQueries:
    """The candidates about which the members disagree most: see ``disagreement``."""

    needs_returns: Final = True

    def select(
        self, candidate_returns: Floats | None, candidates: Integers, n: int, rng: np.random.Generator
    ) -> Integers:
        """See ``QuerySelector.select``.

        Raises:
            ValueError: no returns, of a wrong shape, or not finite.
        """
        if candidate_returns is None or candidate_returns.shape[1:] != candidates.shape:
            shape = None if candidate_returns is None else candidate_returns.shape
            raise ValueError(f"disagreement needs returns [members, *{candidates.shape}], not {shape}")
        return _largest(disagreement(candidate_returns), n, rng)


def disagreement(returns: Floats) -> Floats:
    """How differently the members judge each candidate, ``[m, c, k] -> [c]``.

    Of pairs the variance over members of P_m(left is better) = σ(return_m(left) − return_m(right)), from 0 to
    1/4: Christiano et al. 2017, section 2.2.4. Of sets its mean over every two of their items. Of single
    segments, which a member compares with nothing, the variance over members of the return in units of that
    member's own: less its mean, by its standard deviation, over the candidates.

    Raises:
        ValueError: a return is not finite.
    """
    returns = np.asarray(returns, np.float64)
    if not np.isfinite(returns).all():
        raise ValueError("a predicted return is not finite")
    if returns.shape[-1] == 1:
        values = returns[..., 0] - returns[..., 0].mean(axis=1, keepdims=True)
        spread = values.std(axis=1, keepdims=True)
        return np.asarray((values / np.where(spread > 0, spread, 1.0)).var(axis=0))
    first, second = np.triu_indices(returns.shape[-1], k=1)
    preference = (1.0 + np.tanh((returns[..., first] - returns[..., second]) / 2.0)) / 2.0
    return np.asarray(preference.var(axis=0).mean(axis=-1))


def select_clear_pairs(returns: Floats, pairs: Integers, count: int) -> Integers:
    """The pairs whose returns differ most: whoever looks can tell which is better.

    Args:
        returns: ``[s]``, true return of each segment.
        pairs: ``[c, 2]``, candidates.
        count: pairs wanted.

    Returns:
        ``[n, 2]``, at most ``count`` of the candidates, the clearest first, no segment in two of them; none
        whose returns differ by less than the standard deviation over all segments, or not at all.
    """
    difference = np.abs(returns[pairs[:, 0]] - returns[pairs[:, 1]])
    chosen: list[int] = []
    used: set[int] = set()
    for row in np.argsort(-difference, kind="stable"):
        sides = set(pairs[row].tolist())
        if len(chosen) == count or not 0 < difference[row] >= returns.std():
            break
        if not sides & used:
            chosen.append(int(row))
            used |= sides
    return pairs[chosen]


def _largest(values: Floats, n: int, rng: np.random.Generator) -> Integers:
    return np.lexsort((rng.random(len(values)), -values))[:n].astype(np.int64)
