"""Settings of Stable-Baselines3's SAC; read without torch, so that a command line can offer them at once."""

from __future__ import annotations

from dataclasses import dataclass

from prefrl.errors import UsageError


@dataclass(frozen=True)
class SACConfig:
    """Soft actor-critic (Haarnoja et al. 2018) as Stable-Baselines3 has it; its defaults where not said."""

    learning_rate: float = 3e-4
    """Step size of Adam (Haarnoja et al. 2018: 3e-4)."""
    batch_size: int = 256
    """Transitions per gradient step."""
    updates_per_step: float = 0.25
    """Gradient steps per agent step; 1 in the paper, less here so that hours do not become days on a CPU."""
    buffer_size: int = 1_000_000
    """Newest transitions kept; all of them are relabelled after each fit (Lee et al. 2021, PEBBLE)."""
    learning_starts: int = 10_000
    """Agent steps of random actions before the first update, where no labels are waited for."""
    hidden: int = 256
    """Units per hidden layer of policy and critics."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size", "updates_per_step", "buffer_size", "hidden"):
            if not getattr(self, name) > 0:
                raise UsageError(f"sac.{name} must be above 0, not {getattr(self, name)}")
        if self.learning_starts < 0:
            raise UsageError(f"sac.learning_starts must not be negative, not {self.learning_starts}")
