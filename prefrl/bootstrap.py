"""The percentile bootstrap, over seeds and over tasks.

Every interval here is a percentile bootstrap (Efron 1979), the choice of Agarwal et al. 2021, "Deep RL at the
edge of the statistical precipice", section 4.1. BCa is left out on purpose: with three to five seeds its
acceleration is estimated from as many jackknife values, which is noise. An interval that the data cannot
support (one seed) has NaN bounds instead of zero width, so that one run does not look like certainty.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Statistic = Callable[..., FloatArray]  # called as statistic(samples, axis=-1), as scipy.stats.bootstrap does
Scores = Mapping[str, Sequence[float]]  # scores[task][seed]; tasks may differ in their number of seeds

_CHUNK = 1 << 21  # resampled numbers held at once: bounds the memory of a bootstrap over many values


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its confidence interval; NaN bounds where the data support none."""

    estimate: float
    lower: float
    upper: float


def bootstrap_interval(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    statistic: Statistic = np.mean,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap interval of a statistic of independent values (Efron 1979).

    `statistic(samples, axis=-1)` must reduce the last axis (np.mean, np.median, `interquartile_mean`).
    Raises ValueError for no values, values that are not finite, an impossible confidence or resamples.
    """
    return stratified_bootstrap_interval(
        {"": np.asarray(values, np.float64).ravel().tolist()},
        rng=rng,
        statistic=statistic,
        confidence=confidence,
        resamples=resamples,
    )


def stratified_bootstrap_interval(
    scores: Scores,
    *,
    rng: np.random.Generator,
    statistic: Statistic | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Interval of an aggregate over tasks: seeds are resampled within each task (Agarwal et al. 2021, 4.1).

    The statistic (default `interquartile_mean`) sees the scores of all tasks in one row. Raises ValueError as
    `bootstrap_interval` does. The bounds are NaN if some task has a single seed: its spread is unknown.
    """
    aggregate = interquartile_mean if statistic is None else statistic
    strata = score_rows(scores)
    estimate = float(aggregate(np.concatenate(strata), axis=-1))
    check_bootstrap(confidence, resamples)
    if min(len(stratum) for stratum in strata) < 2:
        return Interval(estimate, np.nan, np.nan)
    replicates = [
        aggregate(np.concatenate([_resampled(stratum, rows, rng) for stratum in strata], axis=-1), axis=-1)
        for rows in _chunks(resamples, sum(len(stratum) for stratum in strata))
    ]
    return Interval(estimate, *percentiles(np.concatenate(replicates), confidence))


def interquartile_mean(values: ArrayLike, *, axis: int | None = None) -> FloatArray:
    """Mean of the middle half: a quarter of the values, rounded down, is cut at each end.

    Agarwal et al. 2021, 4.3. Over all values, or over one axis; as `scipy.stats.trim_mean(values, 0.25)` and
    rliable's aggregate_iqm. Raises ValueError for no values.
    """
    array = np.asarray(values, np.float64)
    ordered = np.sort(array.ravel() if axis is None else np.moveaxis(array, axis, -1), axis=-1)
    count = ordered.shape[-1]
    if count == 0:
        raise ValueError("interquartile_mean needs at least one value")
    return np.asarray(ordered[..., count // 4 : count - count // 4].mean(axis=-1))


def check_bootstrap(confidence: float, resamples: int) -> None:
    """Raises ValueError unless 0 < confidence < 1 and there is at least one resample."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, not {resamples}")


def score_rows(scores: Scores) -> list[FloatArray]:
    """One row of finite scores per task; raises ValueError for a task with none or with one not finite."""
    strata = [np.asarray(values, np.float64) for values in scores.values()]
    if not strata or any(stratum.ndim != 1 or not len(stratum) for stratum in strata):
        raise ValueError("a bootstrap needs at least one value in every task")
    if not all(np.isfinite(stratum).all() for stratum in strata):
        raise ValueError("a bootstrap needs finite values")
    return strata


def resampling_weights(count: int, resamples: int, rng: np.random.Generator) -> FloatArray:
    """How often each of `count` seeds is drawn, as a share, so that a resampled mean is a dot product.

    Shape [resamples, count]; every row sums to 1.
    """
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples) / count


def _resampled(values: FloatArray, rows: int, rng: np.random.Generator) -> FloatArray:
    return values[rng.integers(0, len(values), (rows, len(values)))]


def _chunks(resamples: int, width: int) -> Iterator[int]:
    size = max(1, _CHUNK // width)
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def percentiles(replicates: FloatArray, confidence: float) -> FloatArray:
    """The central interval of the replicates along the first axis: lower and upper, stacked."""
    tail = (1 - confidence) / 2
    return np.asarray(np.quantile(replicates, [tail, 1 - tail], axis=0))
