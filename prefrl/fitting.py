"""Fitting the reward ensemble to feedback.

Each member is fitted on its own bootstrap of the feedback and validated on what its bootstrap left out
(Christiano et al. 2017, 2.2.3). The bootstrap is drawn once per piece of feedback and kept (Poisson(1)
counts: online bagging, Oza and Russell 2001), so 1/e of the feedback is out of each member's bag, and
what is out stays out in every later fit: validation cannot leak through a warm start. All members share
each forward pass; a member's counts weigh its loss, and its out-of-bag loss falls out of the same pass.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from prefrl.adam import Adam
from prefrl.bags import bootstrap_counts, minibatches
from prefrl.ensemble import Items, RewardEnsemble
from prefrl.errors import UsageError
from prefrl.feedback import Kind
from prefrl.feedback_sets import FeedbackSet
from prefrl.fit_config import FitConfig
from prefrl.held_out import held_out_agreement
from prefrl.member_layers import clip_member_gradients_, squared_norms
from prefrl.rating_scale import RatingScale

OnEpoch = Callable[[int, float, float], None]
"""Called after each pass with the gradient steps so far and the training and out-of-bag loss."""


@dataclass(frozen=True)
class FitReport:
    """What a fit did. Losses are means over members, in nats per piece of feedback."""

    epochs: int
    gradient_steps: int
    train_loss: float
    validation_loss: float | None
    """Out-of-bag; None while nothing is out of any bag."""
    weight_decay: float
    held_out_agreement: float | None = None
    """Of the fitted members with the comparisons out of their bags; None where there are none."""


@dataclass
class RewardFitter:
    """Keeps what must outlive a single fit: optimizer's moments, weight decay, the bootstrap's seed, and how
    the members understand the rating scale, which no weight decay pulls at."""

    ensemble: RewardEnsemble
    config: FitConfig
    seed: int
    optimizer: Adam = field(init=False)
    scale: RatingScale = field(init=False)
    scale_optimizer: Adam = field(init=False)
    weight_decay: Tensor = field(init=False)

    def __post_init__(self) -> None:
        device = self.ensemble.shift.device
        self.optimizer = Adam(self.ensemble.parameters(), learning_rate=self.config.learning_rate)
        self.scale = RatingScale(self.ensemble.members).to(device)
        rate = self.config.cutpoint_learning_rate
        self.scale_optimizer = Adam(self.scale.parameters(), learning_rate=rate)
        self.weight_decay = torch.full((self.ensemble.members,), self.config.weight_decay, device=device)

    def fit(
        self,
        items: Items,
        feedback: Sequence[FeedbackSet],
        generator: torch.Generator,
        *,
        on_epoch: OnEpoch | None = None,
    ) -> FitReport:
        """Fits the ensemble to all feedback so far and gives it its next version.

        Stops at ``max_epochs`` or at ``max_gradient_steps``; or when the out-of-bag loss has not improved
        for ``patience_epochs``, and then goes back to the parameters at the start of the best epoch. Ends
        by recomputing the normalisation over the annotated items.

        Raises:
            UsageError: there is no feedback to fit.
            FloatingPointError: the loss is not finite.
        """
        sets = [part for part in feedback if part.counts]
        if not sets:
            raise UsageError("there is no feedback to fit: collect answers first (skips do not count)")
        annotated = torch.cat([part.items.flatten() for part in sets]).unique()
        set_input_moments = getattr(self.ensemble.network, "set_input_moments", None)
        if set_input_moments is not None:
            limit = min(len(annotated), getattr(self.ensemble.network, "moment_items", len(annotated)))
            set_input_moments(items.inputs(annotated[torch.linspace(0, len(annotated) - 1, limit).long()]))
        counts = self._bootstrap_counts(sets)
        report = self._epochs(items, sets, counts, generator, on_epoch)
        returns = self.ensemble.set_normalisation(items, annotated)
        self.ensemble.version += 1
        judged = [
            (part, returns[:, torch.searchsorted(annotated, part.items)], drawn)
            for part, drawn in zip(sets, counts, strict=True)
        ]
        return replace(report, held_out_agreement=held_out_agreement(judged))

    def loss(self, part: FeedbackSet, returns: Tensor, targets: Tensor) -> Tensor:
        """The negative log-likelihood of ``targets [n, ...]`` of a set's kind, ``[members, n]``."""
        cutpoints = (self.scale(),) if part.kind is Kind.RATING else ()
        return part.loss(returns, targets, *cutpoints)

    @property
    def max_steps(self) -> int:
        """Gradient steps that the next fit may take."""
        return self.config.max_gradient_steps if self.ensemble.version else self.config.first_gradient_steps

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that a resumed run needs to fit on as if it had never stopped."""
        return copy.deepcopy(
            {
                "ensemble": self.ensemble.state_dict(),
                "version": self.ensemble.version,
                "scale": [self.scale.state_dict(), self.scale_optimizer.state_dict()],
                "optimizer": self.optimizer.state_dict(),
                "weight_decay": self.weight_decay,
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``; the state given is not touched, then or later."""
        state = copy.deepcopy(state)
        self.ensemble.load_state_dict(state["ensemble"])
        self.ensemble.version = int(state["version"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scale.load_state_dict(state["scale"][0])
        self.scale_optimizer.load_state_dict(state["scale"][1])
        self.weight_decay = state["weight_decay"].to(self.weight_decay.device)

    def _bootstrap_counts(self, sets: Sequence[FeedbackSet]) -> list[Tensor]:
        return [
            bootstrap_counts(len(part), self.ensemble.members, seed=(self.seed, position)).to(
                part.items.device
            )
            for position, part in enumerate(sets)
        ]

    def _epochs(
        self,
        items: Items,
        sets: list[FeedbackSet],
        counts: list[Tensor],
        generator: torch.Generator,
        on_epoch: OnEpoch | None,
    ) -> FitReport:
        best, best_state, stale = float("inf"), None, 0
        epochs = steps = 0
        train = validation = float("nan")
        self.ensemble.train()
        while epochs < self.config.max_epochs:
            before = copy.deepcopy((self.ensemble.state_dict(), self.scale.state_dict()))
            train_losses, validation_losses, taken = self._epoch(items, sets, counts, generator, steps)
            epochs, steps = epochs + 1, steps + taken
            train, validation = float(train_losses.mean()), float(validation_losses.nanmean())
            self._steer_weight_decay(train_losses, validation_losses, taken)
            if on_epoch is not None:
                on_epoch(steps, train, validation)
            if validation < best:
                best, stale, best_state = validation, 0, before
            else:
                stale += 1
            if steps >= self.max_steps or stale >= self.config.patience_epochs:
                break
        # An epoch's out-of-bag loss is measured on the way through it, so it speaks for the parameters that
        # the epoch began with: going back means going back to those. Only after the full patience, though:
        # the few new answers of a later fit hardly move the loss over all answers, and a fit that went back
        # at the first rise would never learn them. There the weight decay keeps the noise out.
        if best_state is not None and stale >= self.config.patience_epochs:
            self.ensemble.load_state_dict(best_state[0])
            self.scale.load_state_dict(best_state[1])
            validation = best
        self.ensemble.eval()
        known = None if math.isnan(validation) else validation
        return FitReport(epochs, steps, train, known, float(self.weight_decay.mean()))

    def _epoch(
        self,
        items: Items,
        sets: list[FeedbackSet],
        counts: list[Tensor],
        generator: torch.Generator,
        steps_before: int,
    ) -> tuple[Tensor, Tensor, int]:
        """One pass: mean training and out-of-bag loss of each member, and the gradient steps taken."""
        sums = torch.zeros(4, self.ensemble.members, dtype=torch.float64, device=self.weight_decay.device)
        taken = 0
        for which, chosen in minibatches(sets, self.config.batch_size, generator):
            if steps_before + taken >= self.max_steps:
                break
            losses = self._losses(items, sets[which], chosen)
            weights = counts[which][chosen].T
            outside = (weights == 0).double()
            if (worth := sets[which].weights) is not None:
                weights, outside = weights * worth[chosen], outside * worth[chosen]
            self._step((losses * weights).sum(1) / weights.sum(1).clamp(min=1.0))
            detached = losses.detach().double()
            sums += torch.stack(
                [
                    (detached * weights).sum(1),
                    weights.sum(1).double(),
                    (detached * outside).sum(1),
                    outside.sum(1),
                ]
            )
            taken += 1
        return sums[0] / sums[1], sums[2] / sums[3], taken

    def _losses(self, items: Items, part: FeedbackSet, chosen: Tensor) -> Tensor:
        """``[members, chosen]`` from one forward pass over every side of every piece together.

        One pass, because batch normalisation must not give each side its own statistics.
        """
        rows = part.items[chosen]
        returns = self.ensemble.returns(items, rows.flatten()).view(self.ensemble.members, *rows.shape)
        return self.loss(part, returns, part.targets[chosen])

    def _step(self, member_losses: Tensor) -> None:
        decay = 0.5 * (self.weight_decay * squared_norms(self.ensemble.network, self.ensemble.members)).sum()
        loss = member_losses.sum() + decay
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"fitting the reward ensemble is not finite: losses {member_losses.tolist()}"
            )
        for optimizer in (self.optimizer, self.scale_optimizer):
            optimizer.zero_grad()
        loss.backward()
        clip_member_gradients_(self.ensemble.network, self.ensemble.members, self.config.max_grad_norm)
        for optimizer in (self.optimizer, self.scale_optimizer):
            optimizer.step()

    def _steer_weight_decay(self, train: Tensor, validation: Tensor, steps: int) -> None:
        low, high = self.config.overfit_ratio
        factor = self.config.weight_decay_factor**steps
        ratio = validation / train
        grow = torch.where(ratio > high, factor, 1.0)
        shrink = torch.where(ratio < low, 1.0 / factor, 1.0)
        self.weight_decay *= (grow * shrink).to(self.weight_decay.dtype)
