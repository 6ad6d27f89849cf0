"""A reward model on its own: an ensemble and how steps are laid out for it, without the run it comes from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from prefrl.control.layouts import Layout, leading_shape, network_inputs
from prefrl.ensemble import RewardEnsemble

PIXEL_CHUNK = 1024
FEATURE_CHUNK = 65_536
"""Steps predicted at a time: bounds the memory of a prediction over a whole replay buffer."""


@dataclass(frozen=True)
class RewardModel:
    """The learned reward as a function of steps."""

    ensemble: RewardEnsemble
    layout: Layout

    @property
    def version(self) -> int:
        """Fits of the ensemble so far; 0 means that it has learned nothing yet."""
        return self.ensemble.version

    def predict(self, observation: np.ndarray, world_action: np.ndarray) -> np.ndarray:
        """The learned reward of steps, by the ensemble's present version.

        Args:
            observation: ``[..., *observation shape]``, raw, as the world gives them, where the steps were
                taken.
            world_action: ``[..., actions]`` in the world's units and clipped to its bounds, or ``[...]``
                whole numbers from 0 for discrete actions.

        Returns:
            ``[...]`` float32.
        """
        leading = leading_shape(self.layout, observation, world_action)
        inputs = torch.from_numpy(network_inputs(self.layout, observation, world_action))
        flat = inputs.reshape(-1, *inputs.shape[len(leading) :])
        device = self.ensemble.shift.device
        chunk = FEATURE_CHUNK if self.layout.kind == "features" else PIXEL_CHUNK
        parts = [self.ensemble.predict(part.to(device)).cpu() for part in flat.split(chunk)]
        return torch.cat(parts).numpy().reshape(leading)
