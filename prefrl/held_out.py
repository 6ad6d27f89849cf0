"""How good the ensemble is on answers that it was not fitted to, for every kind of feedback alike."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from prefrl.feedback import Kind
from prefrl.feedback_sets import FeedbackSet, best_first


def held_out_agreement(judged: Iterable[tuple[FeedbackSet, Tensor, Tensor]]) -> float | None:
    """Share of comparisons predicted right by the members in whose bag they are not, ties left out.

    Mean over members of their agreement with the answers that their bootstrap left out (Christiano et al.
    2017, 2.2.3); which those are is decided once per answer, so none was ever fitted to by that member.

    Args:
        judged: feedback with the predicted returns of its items, ``[members, n, k]``, and how often each
            piece is in each member's bag, ``[n, members]``.

    Returns:
        In [0, 1]; None while no member has an answer out of its bag that compares anything.
    """
    parts = list(judged)
    shares = []
    for member in range(parts[0][1].shape[0] if parts else 0):
        found = [
            concordance(part.kind, returns[member][out], part.targets[out])
            for part, returns, counts in parts
            for out in [counts[:, member] == 0]
        ]
        compared = sum(count for _, count in found)
        if compared:
            shares.append(sum(right for right, _ in found) / compared)
    return sum(shares) / len(shares) if shares else None


def concordance(kind: Kind, returns: Tensor, targets: Tensor) -> tuple[float, int]:
    """How many of the comparisons that answers imply the returns get right, and how many there are.

    A pair implies one, unless it is a tie; a ranking one of every two of its items; likes and ratings one of
    every two clips of which one was liked and the other not, or rated higher: their share is the area under
    the ROC curve, or Harrell's C (Harrell et al. 1982). A predicted tie is half right.

    Args:
        kind: of the answers.
        returns: predicted by one model, ``[n, k]``.
        targets: as :class:`prefrl.feedback_sets.FeedbackSet` has them.
    """
    if kind is Kind.PAIR:
        predicted, said = returns[:, 0] - returns[:, 1], targets - 0.5
    elif kind is Kind.RANKING:
        upper, lower = _every_two(returns.shape[1], returns.device)
        ordered = best_first(returns, targets)
        predicted = ordered[:, upper] - ordered[:, lower]
        said = torch.ones_like(predicted)
    else:
        first, second = _every_two(len(returns), returns.device)
        predicted, said = returns[first, 0] - returns[second, 0], targets[first] - targets[second]
    sides = torch.sign(predicted) * torch.sign(said)
    decided = int((said != 0).sum())
    return float(((sides + 1.0) / 2 * (said != 0)).sum(dtype=torch.float64)), decided


def _every_two(count: int, device: torch.device) -> tuple[Tensor, ...]:
    return torch.triu_indices(count, count, offset=1, device=device).unbind()
