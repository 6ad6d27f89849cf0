"""Value targets on a scale of their own: the value network predicts normalised returns.

After a new reward model is swapped in, returns may shift and stretch at once. A network that predicts
``(R - mean) / std`` only has to relearn shapes, not magnitudes. Whenever mean and deviation move, the last
layer is rewritten so that the values themselves stay what they were (PopArt, van Hasselt et al. 2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn


class ValueScale:
    """Exponentially forgetting mean and deviation of returns, without the bias of its start.

    Args:
        decay: share kept per rollout, in [0, 1); 0.9 forgets an old reward model within ten rollouts.
    """

    def __init__(self, decay: float = 0.9) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay must lie in [0, 1), not {decay}")
        self.decay = decay
        self._weight = 0.0
        self._mean = 0.0
        self._square = 0.0

    @property
    def mean(self) -> float:
        return self._mean / self._weight if self._weight else 0.0

    @property
    def std(self) -> float:
        """At least 1e-2 of the mean's size and 1e-6, so that constant returns do not divide by zero."""
        if not self._weight:
            return 1.0
        variance = self._square / self._weight - self.mean**2
        return max(float(np.sqrt(max(variance, 0.0))), 1e-2 * abs(self.mean), 1e-6)

    def update(self, returns: np.ndarray) -> None:
        """Takes in the returns of one rollout, any shape.

        Raises:
            ValueError: a return is not finite; nothing has been taken in then.
        """
        values = np.asarray(returns, dtype=np.float64)
        if not np.isfinite(values).all():
            raise ValueError("returns are not finite: the reward or the value network has diverged")
        self._weight = self.decay * self._weight + (1.0 - self.decay)
        self._mean = self.decay * self._mean + (1.0 - self.decay) * float(values.mean())
        self._square = self.decay * self._square + (1.0 - self.decay) * float(np.square(values).mean())

    def update_with_head(self, returns: np.ndarray, head: nn.Linear) -> None:
        """Takes in returns and rewrites ``head``, whose output is normalised, so that no value changes.

        ``w' = w σ/σ'`` and ``b' = (σ b + μ - μ') / σ'`` (van Hasselt et al. 2016, eq. 7).
        """
        mean, std = self.mean, self.std
        self.update(returns)
        with torch.no_grad():
            head.weight.mul_(std / self.std)
            head.bias.mul_(std).add_(mean - self.mean).div_(self.std)

    def normalise(self, returns: np.ndarray) -> np.ndarray:
        return np.asarray((returns - self.mean) / self.std)

    def denormalise(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(values * self.std + self.mean)

    def state_dict(self) -> dict[str, Any]:
        return {"weight": self._weight, "mean": self._mean, "square": self._square}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._weight, self._mean, self._square = state["weight"], state["mean"], state["square"]
