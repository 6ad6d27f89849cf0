"""Cutpoints of the rating scale: increasing whatever happens, and found where they were planted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError
from prefrl.feedback import Kind
from prefrl.feedback_sets import make_feedback_set
from prefrl.fit_config import FitConfig
from prefrl.fitting import RewardFitter
from prefrl.likelihoods import rating_loss
from prefrl.rating_scale import RatingScale

PLANTED = torch.tensor([-6.0, -3.5, -3.0, -1.0, -0.5, 0.5, 1.0, 4.0, 6.0])
RATINGS = 1200


class KnownReward(nn.Module):
    """Every member gives the one feature of a step as its reward; there is nothing to learn but the scale."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.ones(3, 1))

    def forward(self, steps: Tensor) -> Tensor:
        return (steps[..., 0] + 0.0 * self.unused.sum()).expand(3, *steps.shape[:-1])


@dataclass
class Steps:
    table: Tensor

    def inputs(self, rows: Tensor) -> Tensor:
        return self.table[rows]

    def mask(self, rows: Tensor) -> None:
        """Every step counts."""


def fitted_scale(config: FitConfig, *, seed: int = 0) -> Tensor:
    """The cutpoints after one fit to ratings drawn from the cumulative model with the planted ones."""
    generator = torch.Generator().manual_seed(seed)
    steps = 1.5 * torch.randn(RATINGS, 4, 1, generator=generator)
    chance = torch.rand(RATINGS, generator=generator)
    perceived = steps.sum((1, 2)) + torch.log(chance / (1 - chance))
    ratings = (perceived[:, None] > PLANTED).sum(1) + 1
    rows = [[row] for row in range(RATINGS)]
    feedback = make_feedback_set(Kind.RATING, rows, ratings.tolist(), error_rate=0.0, items_per_query=1)
    fitter = RewardFitter(RewardEnsemble(KnownReward(), members=3), config, seed)
    fitter.fit(Steps(steps), [feedback], torch.Generator().manual_seed(seed))
    return fitter.scale().detach()


def test_at_first_every_rating_of_an_average_clip_is_equally_likely() -> None:
    cutpoints = RatingScale(3)()
    assert cutpoints.shape == (3, 9)
    below = torch.sigmoid(cutpoints)
    torch.testing.assert_close(below, torch.arange(1, 10).expand(3, 9) / 10)


@given(seed=st.integers(0, 2**16), spread=st.floats(0.0, 20.0))
def test_cutpoints_increase_whatever_the_parameters_are(seed: int, spread: float) -> None:
    scale, generator = RatingScale(2), torch.Generator().manual_seed(seed)
    for parameter in scale.parameters():
        parameter.data = spread * torch.randn(parameter.shape, generator=generator)
    assert (scale().diff() > 0).all()


def test_a_rating_that_was_never_given_can_still_be_given() -> None:
    scale = RatingScale(1)
    scale.gaps.data[:, 3] = -1e4  # what fits without any 5 come to
    loss = rating_loss(torch.zeros(1, 1, 1), torch.tensor([4]), scale(), error_rate=0.1).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in scale.parameters())


def test_the_first_fit_finds_planted_cutpoints() -> None:
    error = (fitted_scale(FitConfig(error_rate=0.0)) - PLANTED).abs()
    assert error.mean() < 0.3
    assert error.max() < 1.0


def test_at_the_step_size_of_the_network_it_would_not() -> None:
    slow = FitConfig(error_rate=0.0, cutpoint_learning_rate=FitConfig().learning_rate)
    assert (fitted_scale(slow) - PLANTED).abs().mean() > 1.0


def test_members_have_scales_of_their_own_and_no_weight_decay_pulls_at_them() -> None:
    scale = fitted_scale(FitConfig(error_rate=0.0, max_epochs=2))
    assert not torch.equal(scale[0], scale[1])
    strong = fitted_scale(FitConfig(error_rate=0.0, max_epochs=2, weight_decay=100.0))
    torch.testing.assert_close(strong, scale)


@pytest.mark.parametrize("value", [0.0, -0.1, math.nan])
def test_an_impossible_step_size_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match=r"cutpoint_learning_rate must be above 0"):
        FitConfig(cutpoint_learning_rate=value)
