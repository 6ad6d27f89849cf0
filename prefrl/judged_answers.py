"""What an answer is judged by: an event of its kind of feedback that the ensemble has a probability for."""

from __future__ import annotations

import torch
from torch import Tensor

from prefrl.feedback import HIGHEST_RATING, Kind
from prefrl.feedback_sets import FeedbackSet

GOOD = HIGHEST_RATING // 2
"""Ratings above it, 6 and more, are the upper half of the scale."""


def judged_probability(
    part: FeedbackSet, returns: Tensor, *, error_rate: float, cutpoints: Tensor | None = None
) -> Tensor:
    """The probability that each member gives to the event that an answer is judged by, ``[members, n]``.

    Of a pair that left is better, σ(r_l − r_r); of a ranking that its first item, wherever it was placed,
    stands above its second, which is the same in the Plackett-Luce model; of one clip that it is liked, σ(r),
    or rated 6 or more, σ(r − θ₅). Errors of the labeller included, who says either by chance:
    (1 − e) P + e/2. (:mod:`prefrl.likelihoods` has the sources.)

    Args:
        part: the answers.
        returns: predicted, ``[members, n, k]``.
        error_rate: e, the share of random answers that the likelihood assumes.
        cutpoints: of ratings, ``[members, 9]``.
    """
    match part.kind:
        case Kind.PAIR | Kind.RANKING:
            logits = returns[..., 0] - returns[..., 1]
        case Kind.LIKE:
            logits = returns[..., 0]
        case _:
            assert cutpoints is not None
            logits = returns[..., 0] - cutpoints[:, GOOD - 1, None].to(returns)
    return (1.0 - error_rate) * torch.sigmoid(logits) + error_rate / 2


def judged_outcome(part: FeedbackSet) -> Tensor:
    """Whether that event has happened, by each answer: ``[n]`` float64, 1 yes, 0 no, between for ties."""
    match part.kind:
        case Kind.RANKING:
            places = part.targets.argsort(-1)
            return (places[:, 0] < places[:, 1]).double()
        case Kind.RATING:
            return (part.targets >= GOOD).double()
    return part.targets.double()


def shown_beside(part: FeedbackSet, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The newest answers as pairs, as pages show them, the newest first; at most ``count``.

    Of rankings the first two items; of single clips every two that were answered one after the other.

    Returns:
        Bank rows ``[c, 2]``, preferences ``[c]``, and the place of each pair's (first) answer ``[c]``.
    """
    places = torch.arange(len(part) - 1, -1, -1, device=part.items.device)
    if part.items.shape[1] > 1:
        places = places[:count]
        return part.items[places, :2], judged_outcome(part)[places], places
    places = places[1::2][:count]
    rows = torch.stack([part.items[places, 0], part.items[places + 1, 0]], -1)
    difference = part.targets[places].double() - part.targets[places + 1].double()
    return rows, torch.sign(difference) / 2 + 0.5, places
