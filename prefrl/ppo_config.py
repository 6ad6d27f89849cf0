"""Settings of the PPO update; read without torch, so that a command line can offer them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from prefrl.errors import UsageError

Reduction = Literal["mean", "sequence_mean_of_means", "sequence_mean_of_sums"]


@dataclass(frozen=True)
class PPOConfig:
    """Settings of one PPO update (Schulman et al. 2017)."""

    learning_rate: float = 3e-4
    """Step size of Adam."""
    final_learning_rate_fraction: float = 0.0
    """The learning rate falls linearly to this share of itself by the end of the run; 1 keeps it."""
    epochs: int = 10
    """Passes over each rollout."""
    minibatch_size: int = 512
    """Items (steps, or sequences of a text) per gradient step."""
    discount: float = 0.99
    """γ per agent step."""
    gae_lambda: float = 0.95
    """λ of generalised advantage estimation."""
    clip: float = 0.2
    """ε: how far the probability ratio may move before its gradient stops."""
    clip_high: float | None = None
    """Separate upper ε (DAPO's clip-higher); none uses ``clip`` on both sides."""
    value_clip: float | None = None
    """How far a value may move per update, in normalised returns; none does not clip."""
    entropy_coefficient: float = 0.0
    """Weight of the entropy bonus."""
    value_coefficient: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Gradients are scaled down to this global norm."""
    target_kl: float | None = None
    """Adapt the learning rate to keep the policy's KL per rollout near this, in nats; none does not."""
    max_learning_rate: float = 1e-3
    """Upper bound of an adapted learning rate."""
    normalise_advantages: bool = True
    """Shift and scale the advantages of each minibatch to mean 0, standard deviation 1."""
    reduction: Reduction = "mean"
    """How the losses of a minibatch become one number."""

    def __post_init__(self) -> None:
        for name in (
            "learning_rate",
            "epochs",
            "minibatch_size",
            "max_grad_norm",
            "clip",
            "max_learning_rate",
        ):
            if not getattr(self, name) > 0:
                raise UsageError(f"ppo.{name} must be above 0, not {getattr(self, name)}")
        for name in ("clip_high", "value_clip", "target_kl"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise UsageError(f"ppo.{name} must be above 0 or none, not {getattr(self, name)}")
        for name in ("entropy_coefficient", "value_coefficient"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"ppo.{name} must not be below 0, not {getattr(self, name)}")
        for name in ("discount", "gae_lambda", "final_learning_rate_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"ppo.{name} must lie in [0, 1], not {getattr(self, name)}")
        if self.reduction not in get_args(Reduction):
            raise UsageError(
                f"ppo.reduction must be one of {', '.join(get_args(Reduction))}, not {self.reduction!r}"
            )
