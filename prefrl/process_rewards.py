"""Process supervision: a score for each step of an item, where it counts, and what it makes of the whole.

A step is a line of a calculation or a part of a segment; the last position of each is where its score stands.
Scores are logits of the step being right, so that a learned model and exact marks are used alike.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from prefrl.likelihoods import like_loss

Aggregation = Literal["minimum", "product", "last", "mean"]


def place_step_scores(
    scores: Tensor, step_last: Tensor, *, length: int, mask: Tensor | None = None
) -> Tensor:
    """Rewards per position: each step's score at its last one, 0 elsewhere. ``[n, steps] -> [n, length]``

    A step is judged once it is over: Uesato et al. 2022 (arXiv 2211.14275), Lightman et al. 2023.

    Args:
        scores: ``[n, steps]``.
        step_last: ``[n, steps]``, the position of each step's last token.
        length: positions per item.
        mask: ``[n, steps]``, true where there is a step.

    Raises:
        ValueError: shapes that differ, or a step beyond the item.
    """
    if scores.dim() != 2 or scores.shape != step_last.shape:
        raise ValueError(
            f"scores {tuple(scores.shape)} and step_last {tuple(step_last.shape)}: give [n, steps]"
        )
    present = _present(scores, mask)
    if bool((present & ((step_last < 0) | (step_last >= length))).any()):
        raise ValueError(f"steps must end in 0 .. {length - 1}, not {step_last[present].tolist()}")
    kept = torch.where(present, scores, torch.zeros_like(scores))
    places = torch.where(present, step_last, torch.zeros_like(step_last))
    rewards = torch.zeros(len(scores), length, dtype=scores.dtype, device=scores.device)
    return rewards.scatter_add(1, places, kept)


def step_mark_loss(scores: Tensor, right: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over an item's marked steps of ``−y log σ(s) − (1 − y) log σ(−s)``, ``[..., n, steps]``.

    Lightman et al. 2023, section 2.6; soft marks y in [0, 1], the share of continuations that succeed, as in
    Wang et al. 2023 (arXiv 2312.08935). An item without marks costs 0. Gives ``[..., n]``.

    Args:
        scores: s, ``[..., n, steps]``.
        right: y, ``[n, steps]``.
        mask: ``[n, steps]``, true where there is a mark; what stands elsewhere has no influence.
    """
    present = _present(scores, mask)
    kept = torch.where(present, scores, torch.zeros_like(scores))
    losses = like_loss(kept.unsqueeze(-1), torch.where(present, right.to(scores), torch.zeros_like(scores)))
    weights = present.to(scores.dtype)
    return (losses * weights).sum(-1) / weights.sum(-1).clamp(min=1.0)


def aggregate_steps(scores: Tensor, aggregation: Aggregation, mask: Tensor | None = None) -> Tensor:
    """One score per item from those of its steps, to choose among items by. ``[..., steps] -> [...]``

    ``minimum``: the weakest step, a logit; ``last``: the last step, a logit (Lightman et al. 2023; Snell et
    al. 2024). ``product``: ``Σ log σ(s)``, the log-probability that all are right if they were
    independent; the more steps the lower. ``mean``: the mean logit.

    Args:
        scores: logits, ``[..., steps]``.
        aggregation: which.
        mask: the same shape; where it is false there is no step, and steps stand in order.

    Raises:
        ValueError: an item without steps.
    """
    present = _present(scores, mask)
    if not bool(present.any(-1).all()):
        raise ValueError("an item has no steps to aggregate: leave it out, or score it as a whole")
    if aggregation == "minimum":
        return torch.where(present, scores, torch.full_like(scores, torch.inf)).amin(-1)
    kept = torch.where(present, scores, torch.zeros_like(scores))
    if aggregation == "product":
        return torch.where(present, logsigmoid(kept), torch.zeros_like(kept)).sum(-1)
    if aggregation == "mean":
        return kept.sum(-1) / present.sum(-1)
    places = torch.arange(scores.shape[-1], device=scores.device).expand(scores.shape)
    last = torch.where(present, places, torch.zeros_like(places)).amax(-1, keepdim=True)
    return kept.gather(-1, last).squeeze(-1)


def first_wrong_step(scores: Tensor, mask: Tensor | None = None, *, threshold: float = 0.0) -> Tensor:
    """The first step whose score lies below the threshold, −1 where none does. ``[..., steps] -> [...]``

    Logits below 0 are likelier wrong than right. Exact marks as scores of ±1 give the true one.
    """
    wrong = _present(scores, mask) & (scores < threshold)
    first = wrong.to(torch.int64).argmax(-1)
    return torch.where(wrong.any(-1), first, torch.full_like(first, -1))


def dense_group_advantages(
    scores: Tensor,
    step_last: Tensor,
    groups: Tensor,
    *,
    length: int,
    mask: Tensor | None = None,
    epsilon: float = 1e-4,
) -> Tensor:
    """GRPO with process rewards: at each position the sum of the normalised scores of steps not yet over.

    ``r̃ = (r − mean) / (std + ε)`` over all steps of all items of a group, ``A_t = Σ_{j: last(j) ≥ t} r̃_j``.
    Shao et al. 2024 (arXiv 2402.03300), section 4.1.3. A group whose step scores are all the same gives 0.

    Args:
        scores: ``[n, steps]``.
        step_last: ``[n, steps]``.
        groups: ``[n]``, the prompt of each item.
        length: positions per item.
        mask: ``[n, steps]``.
        epsilon: ε.

    Returns:
        ``[n, length]``.
    """
    present = _present(scores, mask)
    normal = torch.zeros_like(scores)
    for group in groups.unique():
        inside = present & (groups == group).unsqueeze(1)
        values = scores[inside]
        if values.numel() > 1 and bool(values.max() > values.min()):
            normal[inside] = (values - values.mean()) / (values.std() + epsilon)
    placed = place_step_scores(normal, step_last, length=length, mask=present)
    return placed.flip(1).cumsum(1).flip(1)


def _present(scores: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return torch.ones_like(scores, dtype=torch.bool)
    return mask.bool().expand(scores.shape)
