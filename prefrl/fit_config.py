"""Settings of the reward ensemble's fitting; read without torch, so that a command line starts at once."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.errors import UsageError


@dataclass(frozen=True)
class FitConfig:
    """Settings of one fit of the reward ensemble."""

    learning_rate: float = 1e-3
    """Step size of Adam (Ibarz et al. 2018 use 3e-4 on Atari)."""
    cutpoint_learning_rate: float = 0.05
    """Step size of Adam for the cutpoints of the rating scale, each of which has logits to go on its own. Of
    0.001 to 0.3 the one that came nearest to planted cutpoints within a first fit (see the log)."""
    batch_size: int = 32
    """Pieces of feedback per gradient step (Ibarz et al. 2018: 16)."""
    max_epochs: int = 50
    """Passes over the feedback at most."""
    first_gradient_steps: int = 300
    """Gradient steps of the first fit at most, on the labels of the untrained policy."""
    max_gradient_steps: int = 60
    """Gradient steps of each later fit at most: what bounds the share of the wall time spent on fitting."""
    patience_epochs: int = 5
    """Stop when the out-of-bag loss has not improved for this many epochs."""
    error_rate: float = 0.1
    """Share of answers assumed to be uniformly random (Christiano et al. 2017: 0.1)."""
    weight_decay: float = 1e-4
    """First weight of half the squared norm of each member's parameters."""
    weight_decay_factor: float = 1.01
    """Per gradient step the weight moves by this factor (Ibarz et al. 2018: 1.001, over many more steps)."""
    overfit_ratio: tuple[float, float] = (1.1, 1.5)
    """Out-of-bag loss over training loss is steered into this range (Christiano et al. 2017)."""
    max_grad_norm: float = 10.0
    """Each member's gradient is scaled down to this norm."""

    def __post_init__(self) -> None:
        if not 0 <= self.error_rate < 1:
            raise UsageError(f"reward_model.fit.error_rate must lie in [0, 1), not {self.error_rate}")
        above_zero = (
            "learning_rate",
            "cutpoint_learning_rate",
            "batch_size",
            "max_epochs",
            "first_gradient_steps",
            "max_gradient_steps",
            "patience_epochs",
            "max_grad_norm",
        )
        for name in above_zero:
            if not getattr(self, name) > 0:
                raise UsageError(f"reward_model.fit.{name} must be above 0, not {getattr(self, name)}")
        if not self.weight_decay >= 0:
            raise UsageError(f"reward_model.fit.weight_decay must not be below 0, not {self.weight_decay}")
        if not self.weight_decay_factor >= 1:
            factor = self.weight_decay_factor
            raise UsageError(f"reward_model.fit.weight_decay_factor must be at least 1, not {factor}")
        if not 0 < self.overfit_ratio[0] <= self.overfit_ratio[1]:
            raise UsageError(
                f"reward_model.fit.overfit_ratio must be two rising numbers above 0, not {self.overfit_ratio}"
            )
