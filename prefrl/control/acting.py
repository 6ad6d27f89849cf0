"""Acting: from an observation to an action, its log-probability and a value, as fast as it goes.

Small MLPs act in NumPy (a torch call costs more than their arithmetic), everything else in torch; a
test holds the two to the same numbers. Randomness comes from one NumPy generator either way.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import nn

from prefrl.control.policies import LOG_TWO_PI, Policy, VectorBody
from prefrl.moments import RunningMoments

OBSERVATION_CLIP = 10.0


class Decision(NamedTuple):
    """What was decided for each environment; ``action`` in the policy's own units."""

    action: np.ndarray
    log_prob: np.ndarray
    value: np.ndarray


class WorldActor(Protocol):
    """What acts in a world, whosever policy it is."""

    discrete: bool
    """Whether actions are chosen from a list."""

    def refresh(self) -> None:
        """Takes over the policy's present parameters."""
        ...

    def act(self, observation: np.ndarray, rng: np.random.Generator, *, greedy: bool) -> np.ndarray:
        """Actions in the world's units for ``[envs, ...]`` raw observations."""
        ...


class Actor:
    """Acts with a policy whose parameters may be updated between rollouts.

    Args:
        policy: evaluated on its own device.
        moments: normalise vector observations; None leaves them as they are (frames).
        device: where the policy lives.
    """

    def __init__(self, policy: Policy, moments: RunningMoments | None, device: torch.device) -> None:
        self.policy = policy
        self.discrete = policy.discrete
        self.moments = moments
        self.device = device
        self._towers: list[list[tuple[np.ndarray, np.ndarray]]] | None = None
        self._log_std = np.zeros(0, dtype=np.float32)

    def refresh(self) -> None:
        """Takes over the policy's present parameters; call it after every update."""
        if isinstance(self.policy.body, VectorBody):
            body = self.policy.body
            self._towers = [_weights(body.policy), _weights(body.value)]
        if not self.policy.discrete:
            self._log_std = self.policy.log_std.detach().cpu().numpy().copy()

    def observe(self, observation: np.ndarray) -> np.ndarray:
        """The observation as the policy sees it: normalised features in float32, or frames as they are."""
        if self.moments is None:
            return observation
        flat = observation.reshape(*observation.shape[:1], -1)
        return self.moments.normalise(flat, OBSERVATION_CLIP).astype(np.float32)

    def decide(self, observation: np.ndarray, rng: np.random.Generator, *, greedy: bool = False) -> Decision:
        """Samples actions for ``[envs, ...]`` observations (raw, as the world gives them)."""
        head, value = self._forward(self.observe(observation))
        if self.policy.discrete:
            return _categorical(head, value, rng, greedy)
        return self._gaussian(head, value, rng, greedy)

    def act(self, observation: np.ndarray, rng: np.random.Generator, *, greedy: bool) -> np.ndarray:
        """Actions in the world's units for ``[envs, ...]`` raw observations."""
        return self.policy.to_world(self.decide(observation, rng, greedy=greedy).action)

    def values(self, observation: np.ndarray) -> np.ndarray:
        """Values ``[rows]`` of raw observations, in normalised returns."""
        return self._forward(self.observe(observation))[1]

    def _forward(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._towers is not None:
            head, value = (_mlp(tower, observation) for tower in self._towers)
            return head, value[:, 0]
        with torch.inference_mode():
            head, value = self.policy(torch.from_numpy(observation).to(self.device, non_blocking=True))
        return head.float().cpu().numpy(), value.float().cpu().numpy()

    def _gaussian(
        self, mean: np.ndarray, value: np.ndarray, rng: np.random.Generator, greedy: bool
    ) -> Decision:
        noise = np.zeros_like(mean) if greedy else rng.standard_normal(mean.shape, dtype=np.float32)
        action = mean + np.exp(self._log_std) * noise
        log_prob = -0.5 * (np.square(noise) + LOG_TWO_PI).sum(-1) - self._log_std.sum()
        return Decision(action, log_prob.astype(np.float32), value)


def _categorical(logits: np.ndarray, value: np.ndarray, rng: np.random.Generator, greedy: bool) -> Decision:
    shifted = logits - logits.max(-1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    # Gumbel's trick: one vectorised draw from every row's categorical distribution.
    scores = log_probs if greedy else log_probs + rng.gumbel(size=log_probs.shape)
    action = scores.argmax(-1)
    return Decision(
        action, np.take_along_axis(log_probs, action[:, None], -1)[:, 0].astype(np.float32), value
    )


def _weights(tower: nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    layers = [layer for layer in tower.children() if isinstance(layer, nn.Linear)]
    return [
        (
            np.ascontiguousarray(layer.weight.detach().cpu().numpy().T),
            layer.bias.detach().cpu().numpy().copy(),
        )
        for layer in layers
    ]


def _mlp(layers: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray) -> np.ndarray:
    for weight, bias in layers[:-1]:
        x = np.tanh(x @ weight + bias)
    weight, bias = layers[-1]
    return np.asarray(x @ weight + bias)
