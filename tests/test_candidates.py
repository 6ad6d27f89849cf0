"""Candidates for rankings and for single segments; those for pairs are in test_queries.py."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.candidates import draw_candidate_sets, draw_candidate_singles

seeds = st.integers(0, 2**16)


@given(segments=st.integers(0, 12), size=st.integers(2, 5), count=st.integers(0, 40), seed=seeds)
def test_sets_have_no_segment_twice_and_none_comes_twice(
    segments: int, size: int, count: int, seed: int
) -> None:
    sets = draw_candidate_sets(segments, size, count, np.random.default_rng(seed))
    assert sets.shape == (min(count, math.comb(segments, size)), size)
    assert all(len(set(one)) == size for one in sets.tolist())
    assert len({frozenset(one) for one in sets.tolist()}) == len(sets)
    assert ((sets >= 0) & (sets < segments)).all()


def test_every_set_and_every_order_is_equally_likely() -> None:
    rng, found = np.random.default_rng(0), Counter[tuple[int, ...]]()
    for _ in range(3000):
        found.update(map(tuple, draw_candidate_sets(4, 3, 2, rng).tolist()))
    assert len(found) == 24  # 4 sets in 6 orders each
    assert max(abs(count - 250) for count in found.values()) < 65  # four standard deviations


@pytest.mark.parametrize(("size", "count"), [(1, 3), (3, -1)])
def test_impossible_sets_are_refused(size: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        draw_candidate_sets(5, size, count, np.random.default_rng(0))


@given(allowed=st.sets(st.integers(0, 99)), count=st.integers(0, 30), seed=seeds)
def test_singles_are_allowed_ones_each_once(allowed: set[int], count: int, seed: int) -> None:
    singles = draw_candidate_singles(np.array(sorted(allowed)), count, np.random.default_rng(seed))
    assert singles.shape == (min(count, len(allowed)), 1)
    assert len(set(singles[:, 0].tolist())) == len(singles)
    assert set(singles[:, 0].tolist()) <= allowed
