"""How far predicted preferences can be believed: expected calibration error and its table."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Calibration:
    """Reliability of predicted probabilities, bin by bin. Empty bins hold NaN."""

    expected_error: float
    """Mean over predictions of |mean outcome − mean probability| of their bin; NaN without predictions."""
    edges: Tensor
    """``[bins + 1]``, from 0 to 1."""
    count: Tensor
    """``[bins]``, int64: predictions in the bin."""
    mean_probability: Tensor
    """``[bins]``."""
    mean_outcome: Tensor
    """``[bins]``."""


def calibration(probabilities: Tensor, outcomes: Tensor, *, bins: int = 10) -> Calibration:
    """Expected calibration error over bins of equal width, and the table it comes from.

    ECE = Σ_b |B_b|/n · |mean outcome(B_b) − mean probability(B_b)|.
    Guo et al. 2017, "On calibration of modern neural networks", equations 2, 3 and 5 in the form for two
    outcomes: of P(left) itself, not of the more likely side.

    Args:
        probabilities: any shape, in [0, 1].
        outcomes: the same shape, in [0, 1]: 1 left, 0 right, 1/2 a tie.

    Raises:
        ValueError: fewer than one bin, shapes that differ, or a probability outside [0, 1].
    """
    if bins < 1:
        raise ValueError(f"calibration needs at least one bin, not {bins}")
    if probabilities.shape != outcomes.shape:
        raise ValueError(f"{tuple(probabilities.shape)} probabilities but {tuple(outcomes.shape)} outcomes")
    predicted = probabilities.detach().double().flatten()
    happened = outcomes.detach().double().flatten()
    if not bool(((predicted >= 0) & (predicted <= 1)).all()):
        raise ValueError("probabilities must lie in [0, 1]")
    which = (predicted * bins).long().clamp(max=bins - 1)
    count = torch.bincount(which, minlength=bins)
    mean_probability = torch.bincount(which, weights=predicted, minlength=bins) / count
    mean_outcome = torch.bincount(which, weights=happened, minlength=bins) / count
    gaps = (mean_outcome - mean_probability).abs().nan_to_num(0.0) * count
    return Calibration(
        expected_error=float(gaps.sum() / count.sum()),
        edges=torch.linspace(0.0, 1.0, bins + 1, dtype=torch.float64),
        count=count,
        mean_probability=mean_probability,
        mean_outcome=mean_outcome,
    )
