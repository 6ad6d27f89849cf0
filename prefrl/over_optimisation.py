"""How the gold score rises and falls with the distance from where the policy started. Needs numpy only.

Gao et al. 2022, "Scaling laws for reward model overoptimization" (arXiv 2210.10760), equations 1 and 2, with
``d = √KL(π ‖ π_initial)`` and gold scores counted from the initial policy's:

    best of n:               R(d) = d (a − b d)
    reinforcement learning:  R(d) = d (a − b log d)

Both are linear in a and b: least squares without a starting point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefrl.bootstrap import FloatArray, Interval, check_bootstrap, percentiles
from prefrl.errors import UsageError

Form = Literal["best_of_n", "policy"]


@dataclass(frozen=True)
class OverOptimisation:
    """A fitted curve."""

    form: Form
    a: Interval
    """Gold score per √nat at the start (best of n), or at d = 1."""
    b: Interval
    """How soon it bends: per √nat, or per unit of log d."""
    residual: float
    """Root mean square of what the curve leaves over, in units of the gold score."""
    points: int

    def gold(self, kl: ArrayLike) -> FloatArray:
        """The fitted gold score at these KL divergences in nats; 0 at 0."""
        return _columns(np.asarray(kl, np.float64), self.form) @ np.array([self.a.estimate, -self.b.estimate])

    @property
    def peak_kl(self) -> float:
        """The KL in nats from which on the gold score falls; infinite for a curve that only rises.

        ``d = a / (2b)`` for best of n, ``d = exp(a/b − 1)`` for a policy. 0 for a curve that only falls.
        """
        a, b = self.a.estimate, self.b.estimate
        if b <= 0:
            return math.inf
        d = max(a, 0.0) / (2 * b) if self.form == "best_of_n" else math.exp(min(a / b - 1.0, 350.0))
        return d**2


def fit_over_optimisation(
    kl: ArrayLike,
    gold: ArrayLike,
    *,
    form: Form,
    rng: np.random.Generator,
    runs: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> OverOptimisation:
    """The curve through points of one kind of optimisation, with percentile intervals of a and b.

    The bootstrap resamples whole runs, since the points of one run go up and down together; without ``runs``
    each point counts as independent. Resamples that fix no curve (all points at one distance) are left out;
    with a single run the bounds are NaN.

    Args:
        kl: ``[n]``, nats, not below 0.
        gold: ``[n]``, gold score less that of the initial policy.
        form: which curve.
        rng: of the bootstrap.
        runs: ``[n]``, which run (seed) each point is of.
        confidence: of the intervals.
        resamples: of the bootstrap.

    Raises:
        UsageError: shapes that differ, a value that is not finite, a negative KL, points at fewer than two
            distances above 0.
    """
    check_bootstrap(confidence, resamples)
    distance, score = np.asarray(kl, np.float64), np.asarray(gold, np.float64)
    owners = np.arange(len(distance)) if runs is None else np.unique(np.asarray(runs), return_inverse=True)[1]
    if distance.ndim != 1 or distance.shape != score.shape or owners.shape != distance.shape:
        raise UsageError(f"kl {distance.shape}, gold {score.shape} and runs {owners.shape} must all be [n]")
    if not np.isfinite([distance, score]).all() or (distance < 0).any():
        raise UsageError("a curve needs finite gold scores at finite divergences not below 0")
    design = _columns(distance, form)
    if len(np.unique(distance[distance > 0])) < 2:
        raise UsageError("a curve of two numbers needs points at two different divergences above 0")
    estimate = np.linalg.lstsq(design, score, rcond=None)[0]
    bounds = _bounds(design, score, owners, rng, confidence, resamples)
    residual = float(np.sqrt(np.mean((score - design @ estimate) ** 2)))
    a, b = (Interval(float(value), *map(float, pair)) for value, pair in zip(estimate, bounds.T, strict=True))
    b = Interval(-b.estimate, -b.upper, -b.lower)
    return OverOptimisation(form, a, b, residual, len(score))


def _columns(kl: FloatArray, form: Form) -> FloatArray:
    """``[..., 2]``: what a and −b are multiplied by."""
    d = np.sqrt(kl)
    bent = d**2 if form == "best_of_n" else d * np.log(np.where(d > 0, d, 1.0))
    return np.stack([d, bent], -1)


def _bounds(
    design: FloatArray,
    score: FloatArray,
    owners: NDArray[np.intp],
    rng: np.random.Generator,
    confidence: float,
    resamples: int,
) -> FloatArray:
    """``[2, 2]``: lower and upper of both coefficients."""
    count = int(owners.max()) + 1
    if count < 2:
        return np.full((2, 2), np.nan)
    # Normal equations add up over runs, so a resample is a weighted sum of theirs.
    products = np.einsum("ni,nj->nij", design, design)
    per_run = np.stack([products[owners == run].sum(0) for run in range(count)])
    targets = np.stack([(design[owners == run] * score[owners == run, None]).sum(0) for run in range(count)])
    weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
    left, right = np.einsum("rk,kij->rij", weights, per_run), weights @ targets
    sound = np.linalg.det(left) > 1e-9 * np.prod(np.diagonal(left, axis1=1, axis2=2), axis=1)
    if not sound.any():
        return np.full((2, 2), np.nan)
    return percentiles(np.linalg.solve(left[sound], right[sound][..., None])[..., 0], confidence)
