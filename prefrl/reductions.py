"""From losses per token or step to one number, and how micro-batches add up to the number of the whole.

The four reductions give long sequences different weight, and published code differs in which one it means by
"the mean": they are named here and chosen by one switch (`prefrl.ppo_config.Reduction`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from prefrl.ppo_config import Reduction


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean over the elements whose mask is 1 (all without a mask). Zero if none is."""
    if mask is None:
        return values.mean()
    weights = mask.to(values.dtype)
    return (values * weights).sum() / weights.sum().clamp(min=1.0)


def reduce_loss(
    losses: Tensor,
    mask: Tensor | None,
    reduction: Reduction,
    *,
    constant_length: int | None = None,
    whole: Tensor | float | None = None,
) -> Tensor:
    """One number from per-element losses ``[sequences, time]`` (or ``[items]`` for ``"mean"``).

    ``mean``: over all unmasked elements; every token counts alike (DAPO, Yu et al. 2025, eq. 8).
    ``sequence_mean_of_means``: mean of each sequence's mean; a token of a long sequence counts less
    (GRPO, Shao et al. 2024, eq. 3).
    ``sequence_mean_of_sums``: mean of each sequence's sum, so that long sequences weigh more.
    ``sum_over_constant``: mean of each sequence's sum over a constant length L, the longest response allowed:
    as the sums, at the scale of a mean (Dr.GRPO, Liu et al. 2025, section 3.2).

    Args:
        losses: what each element costs.
        mask: the same shape, 0 or 1; what lies where it is 0 must be finite and has no influence.
        reduction: which.
        constant_length: L in tokens, for ``sum_over_constant``.
        whole: for a part of a batch (a micro-batch): the :func:`loss_weight` of the whole batch. The parts'
            results then add up to that of the whole, and so do their gradients.

    Raises:
        ValueError: a reduction over sequences of losses that have no time dimension, or no constant length.
    """
    if reduction == "mean":
        return masked_mean(losses, mask) if whole is None else _masked_sum(losses, mask) / whole
    if losses.dim() < 2:
        raise ValueError(f"{reduction} needs losses [sequences, time], not {tuple(losses.shape)}: use mean")
    weights = torch.ones_like(losses) if mask is None else mask.to(losses.dtype)
    sums = (losses * weights).sum(-1)
    if reduction == "sequence_mean_of_means":
        sums = sums / weights.sum(-1).clamp(min=1.0)
    if reduction == "sum_over_constant":
        if constant_length is None:
            raise ValueError("sum_over_constant needs constant_length, the tokens it divides by")
        sums = sums / constant_length
    return sums.mean() if whole is None else sums.sum() / whole


def loss_weight(losses: Tensor, mask: Tensor | None, reduction: Reduction) -> Tensor:
    """What :func:`reduce_loss` divides a whole batch's losses by: its unmasked elements or its sequences.

    At least 1: the mean of nothing is 0.
    """
    if reduction != "mean":
        count = losses.new_tensor(float(losses.shape[0]))
    elif mask is None:
        count = losses.new_tensor(float(losses.numel()))
    else:
        count = mask.to(losses.dtype).sum()
    return count.clamp(min=1.0)


def _masked_sum(values: Tensor, mask: Tensor | None) -> Tensor:
    return values.sum() if mask is None else (values * mask.to(values.dtype)).sum()
