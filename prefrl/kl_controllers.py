"""What the KL penalty costs per nat: fixed, or steered towards a target. Needs no torch.

Public code gives the target per sequence or per token without saying so, and a factor of a hundred lies
between them. Here the unit is in the name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

from prefrl.errors import UsageError


@dataclass(frozen=True)
class KLConfig:
    """The penalty for leaving the reference policy."""

    coefficient: float = 0.05
    """β: reward taken off per nat of log π − log π_ref; where it adapts, what it starts from."""
    target_nats_per_sequence: float | None = None
    """Adapt β to hold the KL of whole sequences near this (Ziegler et al. 2019: 6); none keeps β."""
    target_nats_per_token: float | None = None
    """Adapt β to hold the mean KL per token near this, as verl and OpenRLHF mean it; none keeps β."""
    horizon_sequences: float = 10_000
    """Sequences over which an error of the full 20% changes β by 20% (Ziegler et al. 2019: 10,000)."""

    def __post_init__(self) -> None:
        if not 0 <= self.coefficient < math.inf:
            raise UsageError(f"kl.coefficient must be finite and not below 0, not {self.coefficient}")
        if not self.horizon_sequences > 0:
            raise UsageError(f"kl.horizon_sequences must be above 0, not {self.horizon_sequences}")
        for name in ("target_nats_per_sequence", "target_nats_per_token"):
            if (target := getattr(self, name)) is not None and not 0 < target < math.inf:
                raise UsageError(f"kl.{name} must be finite and above 0, or none, not {target}")
        if self.target_nats_per_sequence is not None and self.target_nats_per_token is not None:
            raise UsageError("kl has a target per sequence and one per token: give one of them")
        if self.adapts and self.coefficient == 0:
            raise UsageError(
                "kl.coefficient is 0 and is adapted by a factor: start above 0, or give no target"
            )

    @property
    def adapts(self) -> bool:
        """Whether β is steered."""
        return self.target_nats_per_sequence is not None or self.target_nats_per_token is not None


class KLController(Protocol):
    """Whoever sets β."""

    @property
    def coefficient(self) -> float:
        """β now."""
        ...

    def update(self, *, nats_per_sequence: float, nats_per_token: float, sequences: int) -> None:
        """Tells of the KL of so many new sequences, in both units; the controller uses its target's."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        ...


def make_kl_controller(config: KLConfig) -> KLController:
    """The controller that a config describes."""
    return AdaptiveKL(config) if config.adapts else FixedKL(config.coefficient)


class FixedKL:
    """β stays."""

    def __init__(self, coefficient: float) -> None:
        self.coefficient = coefficient

    def update(self, *, nats_per_sequence: float, nats_per_token: float, sequences: int) -> None:
        """Nothing changes."""

    def state_dict(self) -> dict[str, Any]:
        """β, so that a resumed run may see what it was."""
        return {"coefficient": self.coefficient}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """β as it was saved."""
        self.coefficient = float(state["coefficient"])


class AdaptiveKL:
    """β is steered to the config's target, in the target's unit, by :func:`adapted_coefficient`."""

    def __init__(self, config: KLConfig) -> None:
        self.config = config
        self.coefficient = config.coefficient

    def update(self, *, nats_per_sequence: float, nats_per_token: float, sequences: int) -> None:
        """See ``KLController.update``."""
        per_token = self.config.target_nats_per_token
        target = self.config.target_nats_per_sequence if per_token is None else per_token
        assert target is not None
        self.coefficient = adapted_coefficient(
            self.coefficient,
            nats_per_sequence if per_token is None else nats_per_token,
            target,
            sequences=sequences,
            horizon_sequences=self.config.horizon_sequences,
        )

    def state_dict(self) -> dict[str, Any]:
        """β."""
        return {"coefficient": self.coefficient}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        self.coefficient = float(state["coefficient"])


def adapted_coefficient(
    coefficient: float, kl: float, target: float, *, sequences: int, horizon_sequences: float
) -> float:
    """The next β: ``β (1 + e n / horizon)`` with ``e = clip(KL / target − 1, −0.2, 0.2)``.

    A proportional controller in log space: Ziegler et al. 2019 (arXiv 1909.08593), section 2.2.
    ``kl`` and ``target`` share a unit, whichever it is. n is at most the horizon, so that β stays above 0.

    Raises:
        ValueError: a KL that is not finite, a target not above 0, fewer than 0 sequences.
    """
    if not math.isfinite(kl) or not target > 0 or sequences < 0:
        raise ValueError(f"cannot adapt to a KL of {kl} over {sequences} sequences with target {target}")
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return coefficient * (1.0 + error * min(sequences / horizon_sequences, 1.0))
