"""The rating scale as each member of an ensemble understands it: cutpoints learned beside the reward."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from prefrl.feedback import HIGHEST_RATING

LEAST_GAP = 0.01
"""ε: a rating that nobody has given yet is never so impossible that giving it breaks the fit."""


class RatingScale(nn.Module):
    """Increasing cutpoints θ of the cumulative model (:func:`prefrl.likelihoods.rating_loss`), per member.

    θ₁ is free and θₖ₊₁ = θₖ + ε + softplus(gₖ), so they increase whatever the parameters are. At first
    θₖ = log(k / (C − k)): a clip of return 0 gets every one of the C ratings alike.

    Args:
        members: of the ensemble.
        ratings: C.
    """

    def __init__(self, members: int, *, ratings: int = HIGHEST_RATING) -> None:
        super().__init__()
        start = torch.tensor([math.log(k / (ratings - k)) for k in range(1, ratings)])
        gaps = start.diff() - LEAST_GAP
        self.first = nn.Parameter(start[:1].repeat(members, 1))
        self.gaps = nn.Parameter((gaps + torch.log(-torch.expm1(-gaps))).repeat(members, 1))

    def forward(self) -> Tensor:
        """The cutpoints, ``[members, C − 1]``."""
        gaps = softplus(self.gaps) + LEAST_GAP
        return torch.cat([self.first, self.first + gaps.cumsum(-1)], -1)
