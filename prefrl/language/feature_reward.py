"""A reward of two layers on countable features of texts, and how it predicts what it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from prefrl.bootstrap import FloatArray, Interval
from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError
from prefrl.feedback_sets import FeedbackSet
from prefrl.fit_config import FitConfig
from prefrl.fitting import RewardFitter
from prefrl.likelihoods import agreement, pair_log_likelihood_loss
from prefrl.member_layers import MemberLinear, SharedLinear
from prefrl.statistics import wilson_interval

MEMBERS = 3
HIDDEN = 16
FOLDS = 10
FIT = FitConfig(learning_rate=1e-2, max_epochs=60, first_gradient_steps=200, patience_epochs=10)


class FeatureRewardNetwork(nn.Module):
    """One hidden layer of tanh on standardised features, one linear layer above it, for every member.

    Args:
        features: numbers per text.
        members: of the ensemble.
        hidden: units of the hidden layer.
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(self, features: int, *, members: int = MEMBERS, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.members = members
        self.first = SharedLinear(members, features, hidden)
        self.head = MemberLinear(members, hidden, 1)
        self.register_buffer("input_mean", torch.zeros(features))
        self.register_buffer("input_std", torch.ones(features))

    def forward(self, inputs: Tensor) -> Tensor:
        """``[..., features]`` to rewards ``[members, ...]``."""
        x = (inputs.reshape(-1, inputs.shape[-1]) - self.input_mean) / self.input_std
        return self.head(torch.tanh(self.first(x))).reshape(self.members, *inputs.shape[:-1])

    @torch.no_grad()
    def set_input_moments(self, inputs: Tensor) -> None:
        """Standardises by the moments of these inputs ``[..., features]``."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        self.input_mean.copy_(flat.mean(0))
        self.input_std.copy_(flat.std(0, correction=0).clamp(min=1e-3))


@dataclass(frozen=True)
class FeatureItems:
    """Texts as the ensemble sees them: one step each. ``table [texts, features]``."""

    table: Tensor

    def inputs(self, rows: Tensor) -> Tensor:
        """``[rows, 1, features]``."""
        return self.table[rows].unsqueeze(1)

    def mask(self, _rows: Tensor) -> None:
        """Every text has its one step."""


@dataclass(frozen=True)
class HeldOut:
    """How a reward predicts pairs of prompts that it was not fitted on."""

    agreement: Interval
    """Share of decided pairs predicted right (Wilson's 95%); a predicted tie counts half."""
    pairs: int
    """Decided pairs."""
    log_loss: float
    """Mean over all pairs, in nats, at no assumed errors; guessing has log 2."""
    folds: int


def fit_feature_reward(
    left: FloatArray, right: FloatArray, preference: FloatArray, *, seed: int, config: FitConfig = FIT
) -> RewardEnsemble:
    """The reward ensemble fitted to pairs of texts by their features.

    Args:
        left: features of the left texts. [pairs, features]
        right: of the right ones.
        preference: P(left is better). [pairs]
        seed: of the first parameters, the bootstrap and the order of minibatches.
        config: of the fit.

    Raises:
        UsageError: there is no pair.
        FloatingPointError: the fit has diverged.
    """
    items, feedback = _feedback(left, right, preference, config.error_rate)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        ensemble = RewardEnsemble(FeatureRewardNetwork(left.shape[1]), members=MEMBERS)
        fitter = RewardFitter(ensemble, config, seed=seed)
        fitter.fit(items, [feedback], torch.Generator().manual_seed(seed))
    return ensemble


def cross_validate(
    left: FloatArray,
    right: FloatArray,
    preference: FloatArray,
    groups: Sequence[str],
    *,
    seed: int,
    config: FitConfig = FIT,
) -> HeldOut:
    """Predicts every pair by a reward fitted on the pairs of other prompts; counts how often it is right.

    Args as ``fit_feature_reward``; ``groups`` names the prompt of each pair. Prompts are dealt into ten
    folds, or as many as there are.

    Raises:
        UsageError: all pairs share one prompt.
        FloatingPointError: a fit has diverged.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise UsageError("a reward cannot be tested on other prompts: there is only one, answer more")
    folds = min(FOLDS, len(names))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {names[place]: position % folds for position, place in enumerate(order)}
    fold = np.array([fold_of[group] for group in groups])
    returns = np.zeros((len(preference), 2))
    for number in range(folds):
        inside, outside = fold != number, fold == number
        ensemble = fit_feature_reward(
            left[inside], right[inside], preference[inside], seed=seed, config=config
        )
        sides = (predict(ensemble, side[outside]).mean(0) for side in (left, right))
        returns[outside] = np.stack(list(sides), 1)
    return _judged(torch.from_numpy(returns), torch.from_numpy(preference), folds)


def predict(ensemble: RewardEnsemble, table: FloatArray) -> FloatArray:
    """Raw returns of texts with these features, by every member. [texts, features] to [members, texts]"""
    items = FeatureItems(torch.from_numpy(table).float())
    return ensemble.predict_returns(items, torch.arange(len(table))).double().numpy()


def _feedback(
    left: FloatArray, right: FloatArray, preference: FloatArray, error_rate: float
) -> tuple[FeatureItems, FeedbackSet]:
    pairs = len(preference)
    table = torch.from_numpy(np.concatenate([left, right])).float()
    return FeatureItems(table), FeedbackSet(
        torch.stack([torch.arange(pairs), torch.arange(pairs) + pairs], 1),
        torch.from_numpy(preference).float(),
        lambda returns, targets: pair_log_likelihood_loss(returns, targets, error_rate=error_rate),
    )


def _judged(returns: Tensor, preference: Tensor, folds: int) -> HeldOut:
    decided = int((preference != 0.5).sum())
    share = float(agreement(returns, preference))
    bounds = wilson_interval(share * decided if decided else 0.0, decided)
    loss = pair_log_likelihood_loss(returns, preference, error_rate=0.0)
    return HeldOut(Interval(share, bounds.lower, bounds.upper), decided, float(loss.mean()), folds)
