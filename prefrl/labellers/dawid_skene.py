"""Whom to believe, and what is true, from answers alone: Dawid and Skene's model.

Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm". It needs
units with several answers: where all have one, any labeller may be the one who is always right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prefrl.bootstrap import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class DawidSkene:
    """What the answers say about units and labellers."""

    prior: FloatArray
    """How frequent each class is: [classes]."""
    confusion: FloatArray
    """P(labeller says l | the class is k): [labellers, k, l]."""
    posterior: FloatArray
    """P(class | answers) of each unit: [units, classes]."""
    log_likelihood: float
    """Of the answers, in nats."""
    rounds: int

    @property
    def reliability(self) -> FloatArray:
        """P(a labeller's answer is the true class) over units as frequent as they are: [labellers]."""
        return np.asarray(np.einsum("k,nkk->n", self.prior, self.confusion))


def fit_dawid_skene(
    units: ArrayLike,
    labellers: ArrayLike,
    answers: ArrayLike,
    *,
    classes: int,
    smoothing: float = 0.01,
    tolerance: float = 1e-6,
    most_rounds: int = 200,
) -> DawidSkene:
    """Finds truth and labellers together, beginning with each unit's share of answers (equation 3.1).

    Args:
        units, labellers, answers: whole numbers from 0 on, one of each per answer, ``answers`` below
            ``classes``; a labeller may answer a unit more than once, every unit has an answer.
        smoothing: answers added to each cell of a confusion matrix, so that few answers prove nothing
            impossible; 0 is maximum likelihood.
        tolerance: ends when no probability has moved by more.

    Raises:
        ValueError: no answers.
    """
    unit, who, said = (np.asarray(one, np.int64) for one in (units, labellers, answers))
    if not len(unit):
        raise ValueError("Dawid and Skene's model needs at least one answer")
    posterior = np.zeros((unit.max() + 1, classes))
    np.add.at(posterior, (unit, said), 1.0)
    posterior /= posterior.sum(1, keepdims=True)
    rounds, moved = 0, np.inf
    while rounds < most_rounds and moved > tolerance:
        rounds += 1
        prior = posterior.mean(0)
        confusion = _confusion(posterior[unit], who, said, smoothing)
        joint = _log_joint(prior, confusion, unit, who, said, len(posterior))
        evidence = np.logaddexp.reduce(joint, axis=1)
        updated = np.exp(joint - evidence[:, None])
        moved = float(np.abs(updated - posterior).max())
        posterior = updated
    return DawidSkene(prior, confusion, posterior, float(evidence.sum()), rounds)


def _confusion(belief: FloatArray, who: IntArray, said: IntArray, smoothing: float) -> FloatArray:
    """The maximisation (equation 2.3): belief [answers, classes] -> [labellers, classes, classes]."""
    classes, people = belief.shape[1], int(who.max()) + 1
    cells = who * classes + said
    columns = [
        np.bincount(cells, belief[:, k], people * classes).reshape(people, classes) for k in range(classes)
    ]
    table = np.stack(columns, axis=1) + smoothing
    total = table.sum(2, keepdims=True)
    return np.asarray(np.divide(table, total, out=np.full_like(table, 1 / classes), where=total > 0))


def _log_joint(
    prior: FloatArray, confusion: FloatArray, unit: IntArray, who: IntArray, said: IntArray, units: int
) -> FloatArray:
    """The expectation (equation 2.5): log P(class, answers) of each unit."""
    with np.errstate(divide="ignore"):
        log_prior, log_confusion = np.log(prior), np.log(confusion)
    says = log_confusion[who, :, said]
    columns = [np.bincount(unit, says[:, k], units) for k in range(len(prior))]
    return np.asarray(log_prior + np.stack(columns, axis=1))
