"""Policies of the control track: what acts in the world and what the shared PPO update evaluates."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor, nn

from prefrl.control.convolutions import (
    ConvLayer,
    FrameNormaliser,
    channels_last_,
    feature_sizes,
    orthogonal_,
)
from prefrl.control.towers import tower_outputs
from prefrl.errors import UsageError
from prefrl.policy_steps import Evaluation

NATURE_LAYERS, NATURE_UNITS = (ConvLayer(32, 8, 4), ConvLayer(64, 4, 2), ConvLayer(64, 3, 1)), 512
"""Mnih et al. 2015, and the units behind the convolutions."""
SMALL_LAYERS, SMALL_UNITS = (ConvLayer(16, 8, 4), ConvLayer(32, 4, 2)), 256
"""Mnih et al. 2013: about a third of the multiplications."""

LOG_TWO_PI = math.log(2.0 * math.pi)


class Distribution(NamedTuple):
    """A policy's answer to observations: the head's parameters and the value."""

    head: Tensor
    """Logits of a discrete policy, means of a continuous one: ``[rows, actions]``."""
    value: Tensor
    """``[rows]``, in normalised returns."""


class Policy(nn.Module):
    """A body with a policy head and a value head over Discrete or Box actions.

    Continuous actions are Gaussian with a state-independent deviation, in units where the action space
    is [-1, 1]; :meth:`to_world` scales and clips them.
    """

    def __init__(self, body: nn.Module, action_space: Space, *, initial_log_std: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.discrete = isinstance(action_space, Discrete)
        self.action_start = 0
        if isinstance(action_space, Discrete):
            self.actions, self.action_start = int(action_space.n), int(action_space.start)
        elif isinstance(action_space, Box) and len(action_space.shape) == 1:
            self.actions = int(action_space.shape[0])
            bounded = np.isfinite(action_space.low) & np.isfinite(action_space.high)
            self.low = np.where(bounded, action_space.low, -1.0).astype(np.float32)
            self.high = np.where(bounded, action_space.high, 1.0).astype(np.float32)
            self.bounds = action_space.low, action_space.high
            self.log_std = nn.Parameter(torch.full((self.actions,), initial_log_std))
        else:
            raise UsageError(f"actions must be Discrete or a Box of one dimension, not {action_space}")

    @property
    def value_head(self) -> nn.Linear:
        """The last layer of the value: its output is in normalised returns."""
        head = self.body.value
        return head[-1] if isinstance(head, nn.Sequential) else head  # type: ignore[return-value]

    def forward(self, observation: Tensor) -> Distribution:
        head, value = self.body(observation)
        return Distribution(head, value)

    def evaluate(self, inputs: dict[str, Tensor]) -> Evaluation:
        """Log-probability, entropy and value of ``inputs["action"]`` taken at ``inputs["observation"]``."""
        head, value = self(inputs["observation"])
        if self.discrete:
            log_probs = torch.log_softmax(head, -1)
            chosen = log_probs.gather(-1, inputs["action"].unsqueeze(-1)).squeeze(-1)
            return Evaluation(chosen, -(log_probs.exp() * log_probs).sum(-1), value)
        standard = (inputs["action"] - head) * torch.exp(-self.log_std)
        log_prob = -0.5 * (standard.square() + LOG_TWO_PI).sum(-1) - self.log_std.sum()
        entropy = (0.5 + 0.5 * LOG_TWO_PI + self.log_std).sum()
        return Evaluation(log_prob, entropy.expand_as(log_prob), value)

    def to_world(self, actions: np.ndarray) -> np.ndarray:
        """The policy's actions ``[envs(, actions)]`` in the world's units, clipped to its bounds."""
        if self.discrete:
            return np.asarray(actions, dtype=np.int64) + self.action_start
        world = self.low + 0.5 * (actions + 1.0) * (self.high - self.low)
        # Clipped at the end: rounding may step over a bound, and a space may be bounded on one side only.
        return np.asarray(np.clip(world, *self.bounds), dtype=np.float32)


class VectorBody(nn.Module):
    """Separate towers for policy and value, two layers of tanh each, on normalised observations."""

    def __init__(self, features: int, outputs: int, *, hidden: int = 64) -> None:
        super().__init__()
        self.policy = _tower(features, hidden, outputs, final_gain=0.01)
        self.value = _tower(features, hidden, 1, final_gain=1.0)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        return tower_outputs(self.policy, observation), tower_outputs(self.value, observation).squeeze(-1)


class PixelBody(nn.Module):
    """One convolutional trunk for policy and value on byte frames ``[rows, height, width, channels]``."""

    def __init__(
        self, shape: tuple[int, int, int], outputs: int, *, preset: Literal["nature", "small"] = "nature"
    ) -> None:
        super().__init__()
        self.frames = FrameNormaliser(shape)
        layers, units = (NATURE_LAYERS, NATURE_UNITS) if preset == "nature" else (SMALL_LAYERS, SMALL_UNITS)
        channels, convs = shape[2], []
        for layer, kernel in feature_sizes(layers, shape):
            convs.append(orthogonal_(nn.Conv2d(channels, layer.filters, kernel, layer.stride), math.sqrt(2)))
            channels = layer.filters
        self.convs = nn.ModuleList(convs)
        with torch.no_grad():
            size = self._features(torch.zeros(1, *shape, dtype=torch.uint8)).shape[-1]
        self.hidden = orthogonal_(nn.Linear(size, units), math.sqrt(2))
        self.policy = orthogonal_(nn.Linear(units, outputs), 0.01)
        self.value = orthogonal_(nn.Linear(units, 1), 1.0)
        channels_last_(self)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.relu(self.hidden(self._features(observation)))
        return self.policy(features), self.value(features).squeeze(-1)

    def _features(self, frames: Tensor) -> Tensor:
        x = self.frames(frames)
        for conv in self.convs:
            x = torch.relu(conv(x))
        return x.flatten(1)


def make_policy(
    observation_space: Space,
    action_space: Space,
    *,
    hidden: int = 64,
    pixel_preset: Literal["nature", "small"] = "nature",
    initial_log_std: float = 0.0,
) -> Policy:
    """A policy for these spaces: a CNN for byte images, an MLP for everything else that is a Box.

    Raises:
        UsageError: a space that no policy here can handle.
    """
    if isinstance(action_space, Discrete):
        outputs = int(action_space.n)
    else:
        outputs = int(np.prod(action_space.shape or (1,)))
    if is_image(observation_space):
        height, width, channels = observation_space.shape  # type: ignore[misc]
        body: nn.Module = PixelBody((height, width, channels), outputs, preset=pixel_preset)
    elif isinstance(observation_space, Box):
        body = VectorBody(int(np.prod(observation_space.shape)), outputs, hidden=hidden)
    else:
        raise UsageError(f"observations must be a Box, not {observation_space}: flatten them with a wrapper")
    return Policy(body, action_space, initial_log_std=initial_log_std)


def is_image(space: Space) -> bool:
    """Byte observations of height, width and channels."""
    return isinstance(space, Box) and space.dtype == np.uint8 and len(space.shape) == 3


def _tower(features: int, hidden: int, outputs: int, *, final_gain: float) -> nn.Sequential:
    return nn.Sequential(
        orthogonal_(nn.Linear(features, hidden), math.sqrt(2)),
        nn.Tanh(),
        orthogonal_(nn.Linear(hidden, hidden), math.sqrt(2)),
        nn.Tanh(),
        orthogonal_(nn.Linear(hidden, outputs), final_gain),
    )
