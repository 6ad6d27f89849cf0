"""Feedback as the fitter takes it: items, what was said of them, and what that is worth, kind by kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from prefrl.feedback import HIGHEST_RATING, Kind, Value
from prefrl.likelihoods import like_loss, pair_log_likelihood_loss, ranking_loss, rating_loss
from prefrl.likelihoods import loss_floor as pair_loss_floor


@dataclass(frozen=True)
class FeedbackSet:
    """Feedback of one kind: ``items [n, k]``, ``targets [n, ...]`` and the negative log-likelihood.

    ``loss(returns [members, n, k], targets [n, ...]) -> [members, n]``; that of ratings is given the members'
    cutpoints, too (:class:`prefrl.rating_scale.RatingScale`). ``weights [n]`` in [0, 1] multiply it; a piece
    of weight 0 is not learned from and keeps its place, so that no other changes bags.
    """

    items: Tensor
    targets: Tensor
    """Of pairs P(left is better); of rankings the places of the items, best first, ``[n, k]``; of likes 1 or
    0; of ratings 0 to 9."""
    loss: Callable[..., Tensor]
    weights: Tensor | None = None
    """None: each counts fully."""
    kind: Kind = Kind.PAIR

    def __len__(self) -> int:
        return int(self.items.shape[0])

    @property
    def counts(self) -> bool:
        """Whether there is anything to learn from."""
        return len(self) > 0 and (self.weights is None or bool((self.weights > 0).any()))


def make_feedback_set(
    kind: Kind,
    rows: Sequence[Sequence[int]],
    values: Sequence[Value],
    *,
    error_rate: float,
    items_per_query: int,
    device: torch.device | None = None,
    weights: Sequence[float] | None = None,
) -> FeedbackSet:
    """Answers of one kind, all about equally many items.

    Args:
        kind: any but marks.
        rows: of the items of each query, in its order.
        values: what was said, as :class:`prefrl.feedback.Answer` has it; no skips.
        error_rate: share of answers assumed to be uniformly random.
        items_per_query: k; there may be no answers.
        device: where the tensors shall live.
        weights: of the answers; None: each counts fully.
    """
    items = torch.tensor(rows, dtype=torch.int64).reshape(-1, items_per_query).to(device)
    worth = None if weights is None else torch.tensor(weights, dtype=torch.float32).to(device)
    loss = partial(_LOSSES[kind], error_rate=error_rate)
    return FeedbackSet(items, _targets(kind, values, items.shape).to(device), loss, worth, kind)


def loss_floor(part: FeedbackSet, error_rate: float) -> Tensor:
    """The least loss that each answer allows, at any returns: ``[n]``, in nats.

    Of a pair or a like :func:`prefrl.likelihoods.loss_floor`; an answer of N that is certain but for errors
    has −log(1 − e + e/N).
    """
    if part.kind in (Kind.PAIR, Kind.LIKE):
        return pair_loss_floor(part.targets, error_rate=error_rate)
    return -torch.log1p(error_rate * (torch.exp(-guess_loss(part)) - 1.0))


def guess_loss(part: FeedbackSet) -> Tensor:
    """log N of the N answers that each query allows: 2, the k! orders of a ranking, 10 ratings; ``[n]``."""
    outcomes = {Kind.RANKING: math.factorial(part.items.shape[1]), Kind.RATING: HIGHEST_RATING}
    return torch.full((len(part),), math.log(outcomes.get(part.kind, 2)), dtype=torch.float64)


def _targets(kind: Kind, values: Sequence[Value], shape: torch.Size) -> Tensor:
    match kind:
        case Kind.RANKING:
            return torch.tensor(values, dtype=torch.int64).reshape(shape)
        case Kind.RATING:
            return torch.tensor(values, dtype=torch.int64) - 1
    return torch.tensor([float(value) for value in values], dtype=torch.float32)  # type: ignore[arg-type]


def best_first(returns: Tensor, order: Tensor) -> Tensor:
    """Returns ``[..., n, k]`` in the order of rankings ``[n, k]``."""
    return returns.gather(-1, order.expand(returns.shape))


def _ranking_loss(returns: Tensor, order: Tensor, *, error_rate: float) -> Tensor:
    return ranking_loss(best_first(returns, order), error_rate=error_rate)


_LOSSES: dict[Kind, Callable[..., Tensor]] = {
    Kind.PAIR: pair_log_likelihood_loss,
    Kind.RANKING: _ranking_loss,
    Kind.LIKE: like_loss,
    Kind.RATING: rating_loss,
}
