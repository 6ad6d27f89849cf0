"""The curves of a group of runs over steps, labels or the time that people have given: mean and interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from prefrl.runs.folders import FloatArray, Run
from prefrl.runs.groups import Group
from prefrl.statistics import Curve, aggregate_curves

POINTS = 121
"""Points per line."""

Minutes = Callable[[Run], FloatArray]
"""The minutes that people had given when a run had so many answers, ``[answers + 1]``; empty for none."""


def mean_curve(
    curves: Sequence[tuple[FloatArray, FloatArray]],
    *,
    last: float,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Curve:
    """Curves ``(x, values)`` of several seeds on one grid from 0 to ``last``, only where every seed is.

    A mean that loses its slow seeds half-way rises without anybody having learned.
    """
    grid = np.linspace(0.0, last or 1.0, POINTS)
    curve = aggregate_curves(curves, grid, rng=rng, confidence=confidence, resamples=resamples)
    whole = curve.seeds == max(1, len(curves))
    mean, lower, upper = (
        np.where(whole, values, np.nan) for values in (curve.mean, curve.lower, curve.upper)
    )
    return Curve(grid, mean, lower, upper, curve.seeds)


def finite_curve(run: Run, column: str) -> tuple[FloatArray, FloatArray]:
    """Steps and values of a column where it has numbers."""
    x, y = run.column("step"), run.column(column)
    return x[np.isfinite(y)], y[np.isfinite(y)]


def group_curve(
    group: Group, column: str, *, over: str, minutes: Minutes, rng: np.random.Generator
) -> Curve | None:
    """The mean of a column over the seeds of a group; None where no run has numbers over that axis.

    Args:
        column: of the metrics, ``true_return`` say.
        over: ``steps``, ``labels`` (answers that counted by then) or ``minutes`` (that people took for them).
        minutes: the time that went into a run's answers.
        rng: draws the bootstrap's resamples.
    """
    curves = [curve for run in group.runs if len((curve := _over(run, column, over, minutes))[0])]
    if not curves:
        return None
    return mean_curve(curves, last=max(float(x[-1]) for x, _ in curves), rng=rng)


def _over(run: Run, column: str, over: str, minutes: Minutes) -> tuple[FloatArray, FloatArray]:
    steps, values = finite_curve(run, column)
    if over == "steps":
        return steps, values
    labels, skips = (run.column(name)[np.isfinite(run.column(column))] for name in ("labels", "skips"))
    if over == "labels":
        x = labels
    else:
        spent = minutes(run)
        answers = np.nan_to_num(labels + np.nan_to_num(skips), nan=-1).astype(int)
        known = (answers >= 0) & (len(spent) > 0)
        x = np.full(len(answers), np.nan)
        x[known] = spent[np.minimum(answers[known], len(spent) - 1)]
    known = np.isfinite(x)
    # An answer that is withdrawn takes nothing back of what was spent, and of several rows with the same
    # labels the last shows what was made of them.
    x, values = np.maximum.accumulate(x[known]), values[known]
    last = np.append(np.diff(x) > 0, True)[: len(x)]
    return x[last], values[last]
