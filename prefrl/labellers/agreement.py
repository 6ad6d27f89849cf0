"""How far labellers agree: Krippendorff's alpha of all, the share of equal answers of every two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefrl.bootstrap import FloatArray, Interval, check_bootstrap, percentiles
from prefrl.statistics import wilson_interval

Level = Literal["nominal", "ordinal", "interval"]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class PairAgreement:
    """Two labellers, by number, and the share of what both have answered that they answered alike."""

    first: int
    second: int
    shared: int
    alike: Interval
    """Wilson's interval."""


def krippendorff_alpha(
    units: ArrayLike,
    values: ArrayLike,
    *,
    level: Level,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Krippendorff's alpha: 1 is perfect agreement, 0 what chance gives, below 0 systematic disagreement.

    α = 1 − (n − 1) Σ o_ck δ²_ck / Σ n_c n_k δ²_ck over the coincidences o_ck of values c and k within units.
    Krippendorff 2011, "Computing Krippendorff's alpha-reliability", with any number of answers per unit.

    Args:
        units: what was answered, a whole number for each answer; units with one answer do not count.
        values: the answers, numbers whose order and distances count as ``level`` says.
        level: what makes two values differ: that they are not the same, the values between them, or their
            distance.

    Returns:
        The estimate with its percentile bootstrap over units; NaN where nothing was answered twice, or every
        answer is the same, and bounds NaN for a single unit. Resamples without variation are left out.
    """
    check_bootstrap(confidence, resamples)
    grades, coded = np.unique(np.asarray(values, np.float64), return_inverse=True)
    _, rows = np.unique(np.asarray(units), return_inverse=True)
    counts = np.zeros((rows.max(initial=-1) + 1, len(grades)), np.int64)
    np.add.at(counts, (rows, coded), 1)
    patterns, often = np.unique(counts[counts.sum(1) >= 2], axis=0, return_counts=True)
    total = int(often.sum())
    if total == 0:
        return Interval(np.nan, np.nan, np.nan)
    coincidences = _coincidences(patterns)
    estimate = float(_alphas(np.tensordot(often[None], coincidences, 1), grades, level)[0])
    if total < 2 or np.isnan(estimate):
        return Interval(estimate, np.nan, np.nan)
    drawn = rng.multinomial(total, often / total, size=resamples)
    replicates = _alphas(np.tensordot(drawn, coincidences, 1), grades, level)
    lower, upper = percentiles(replicates[~np.isnan(replicates)], confidence).tolist()
    return Interval(estimate, lower, upper)


def pairwise_agreement(
    units: ArrayLike, labellers: ArrayLike, values: ArrayLike, *, confidence: float = 0.95
) -> list[PairAgreement]:
    """The agreement of every two labellers who have a unit in common, in the order of their numbers.

    Args:
        units: what was answered; at most one answer per unit and labeller.
        labellers: who answered, a whole number.
        values: the answers; alike is what is equal.
    """
    unit, who, value = (np.asarray(one) for one in (units, labellers, values))
    order = np.lexsort((who, unit))
    unit, who, value = unit[order], who[order], value[order]
    found = []
    # Answers to a unit stand together: those one place apart, then two, until no unit has so many.
    for distance in range(1, len(unit)):
        same = unit[distance:] == unit[:-distance]
        if not same.any():
            break
        alike = value[distance:] == value[:-distance]
        found.append(np.stack([who[:-distance], who[distance:], alike], 1)[same])
    if not found:
        return []
    pairs, index = np.unique(np.concatenate(found)[:, :2].astype(np.int64), axis=0, return_inverse=True)
    shared = np.bincount(index.ravel(), minlength=len(pairs))
    alike = np.bincount(index.ravel(), weights=np.concatenate(found)[:, 2], minlength=len(pairs))
    return [
        PairAgreement(int(first), int(second), int(n), wilson_interval(int(k), int(n), confidence=confidence))
        for (first, second), k, n in zip(pairs, alike, shared, strict=True)
    ]


def _coincidences(counts: IntArray) -> FloatArray:
    """Per unit, how often each value stands beside each other one: [units, values, values]."""
    diagonal = counts[:, :, None] * np.eye(counts.shape[1])
    return np.asarray(
        (counts[:, :, None] * counts[:, None, :] - diagonal) / (counts.sum(1) - 1)[:, None, None], np.float64
    )


def _alphas(coincidences: FloatArray, grades: FloatArray, level: Level) -> FloatArray:
    """Alpha of each table of coincidences: [tables, values, values] -> [tables]."""
    often = coincidences.sum(2)
    distances = _squared_differences(often, grades, level)
    observed = (coincidences * distances).sum((1, 2))
    expected = (often[:, :, None] * often[:, None, :] * distances).sum((1, 2))
    varies = expected > 0
    scale = (often.sum(1) - 1) / np.where(varies, expected, 1.0)
    return np.asarray(np.where(varies, 1 - scale * observed, np.nan), np.float64)


def _squared_differences(often: FloatArray, grades: FloatArray, level: Level) -> FloatArray:
    """δ²_ck, for each table of its own where it depends on how often values occur."""
    match level:
        case "nominal":
            return 1.0 - np.eye(len(grades))
        case "interval":
            return np.asarray((grades[:, None] - grades[None, :]) ** 2)
    up_to = often.cumsum(1)
    between = np.abs(up_to[:, :, None] - up_to[:, None, :])  # the lower end is left out, the upper is in
    lower = np.arange(len(grades))[:, None] < np.arange(len(grades))[None, :]
    ends = np.where(lower, often[:, :, None] - often[:, None, :], often[:, None, :] - often[:, :, None]) / 2
    return np.asarray((between + ends) ** 2)
