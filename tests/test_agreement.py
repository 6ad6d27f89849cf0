"""Agreement of labellers against published figures, hand-made tables, and simulated people."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.labellers.agreement import Level, krippendorff_alpha, pairwise_agreement
from prefrl.statistics import wilson_interval

NONE = 0
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
)
"""Krippendorff 2011, section C: four observers, twelve units."""


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def long_form(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    _, units = np.nonzero(table)
    return units, table[table != NONE]


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_the_published_one(level: Level, alpha: float) -> None:
    found = krippendorff_alpha(*long_form(PUBLISHED), level=level, rng=rng())
    assert found.estimate == pytest.approx(alpha, abs=5e-4)
    assert found.lower < found.estimate < found.upper <= 1.0


def test_perfect_agreement_is_one_and_opposition_below_zero() -> None:
    units, values = np.repeat(np.arange(50), 2), np.repeat(np.arange(50) % 2, 2)
    assert krippendorff_alpha(units, values, level="nominal", rng=rng()).estimate == 1.0
    opposed = np.tile([0, 1], 50)
    assert krippendorff_alpha(units, opposed, level="nominal", rng=rng()).upper < 0.0


def test_coin_tosses_agree_by_chance_alone() -> None:
    covered = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        values = generator.integers(0, 2, 200)
        found = krippendorff_alpha(np.repeat(np.arange(100), 2), values, level="nominal", rng=generator)
        covered += found.lower <= 0.0 <= found.upper
    assert covered >= 33  # 95% intervals; fewer by chance in 1 of 300 suites


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0]])
def test_where_nothing_varies_or_nothing_is_shared_alpha_is_unknown(values: list[float]) -> None:
    units = [0, 0, 1, 1] if len(values) == 4 else [0, 1, 2]
    assert np.isnan(krippendorff_alpha(units, values, level="nominal", rng=rng()).estimate)
    assert np.isnan(krippendorff_alpha([], [], level="ordinal", rng=rng()).estimate)


@given(
    answers=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=40),
    seed=st.integers(0, 99),
)
def test_order_and_names_do_not_matter_to_alpha(answers: list[tuple[int, int]], seed: int) -> None:
    units, values = (np.array(column) for column in zip(*answers, strict=True))
    order = np.random.default_rng(seed).permutation(len(units))
    plain = krippendorff_alpha(units, values, level="ordinal", rng=rng(), resamples=2)
    mixed = krippendorff_alpha(97 - units[order], values[order], level="ordinal", rng=rng(), resamples=2)
    assert mixed.estimate == pytest.approx(plain.estimate, nan_ok=True)


def test_every_two_labellers_are_compared_where_they_meet() -> None:
    units = [0, 0, 0, 1, 1, 2, 3, 3]
    who = [2, 0, 1, 1, 0, 2, 0, 1]
    said = [1.0, 1.0, 0.0, 0.5, 0.5, 1.0, 0.0, 1.0]
    found = pairwise_agreement(units, who, said)
    assert [(one.first, one.second, one.shared) for one in found] == [(0, 1, 3), (0, 2, 1), (1, 2, 1)]
    assert [one.alike for one in found] == [
        wilson_interval(1, 3),
        wilson_interval(1, 1),
        wilson_interval(0, 1),
    ]
    assert pairwise_agreement([0, 1], [0, 1], [1.0, 1.0]) == []
    assert pairwise_agreement([], [], []) == []
