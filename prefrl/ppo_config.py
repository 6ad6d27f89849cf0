"""Settings of the PPO update; read without torch, so that a command line can offer them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from prefrl.errors import UsageError

Reduction = Literal["mean", "sequence_mean_of_means", "sequence_mean_of_sums", "sum_over_constant"]
"""How losses per token become one number: see ``prefrl.reductions.reduce_loss``."""
KLEstimator = Literal["k1", "k2", "k3", "k3_gradient_of_k2"]
"""What is minimised to stay near a reference: see ``prefrl.kl.kl_loss``."""


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
    micro_batch_size: int | None = None
    """Items per forward and backward pass, which bounds memory and changes no result; none: the minibatch."""
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
    constant_length: int | None = None
    """Tokens that ``sum_over_constant`` divides by: the longest response allowed (Dr.GRPO); else none."""
    kl_coefficient: float = 0.0
    """Weight of the KL from the batch's reference policy in the loss (GRPO: 0.04); 0 leaves it out."""
    kl_estimator: KLEstimator = "k3"
    """Estimate of that KL (Shao et al. 2024: k3); its gradient may be that of another quantity."""

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
        for name in ("entropy_coefficient", "value_coefficient", "kl_coefficient"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"ppo.{name} must not be below 0, not {getattr(self, name)}")
        for name in ("discount", "gae_lambda", "final_learning_rate_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"ppo.{name} must lie in [0, 1], not {getattr(self, name)}")
        self._check_choices()

    def _check_choices(self) -> None:
        for name, choices in (("reduction", get_args(Reduction)), ("kl_estimator", get_args(KLEstimator))):
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"ppo.{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}"
                )
        if (self.reduction == "sum_over_constant") != (self.constant_length is not None):
            raise UsageError(
                f"ppo.constant_length is {self.constant_length} and ppo.reduction {self.reduction}:"
                " give a length with sum_over_constant, and only then"
            )
        for name in ("constant_length", "micro_batch_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"ppo.{name} must be at least 1 or none, not {getattr(self, name)}")
