"""Layouts: how the reward network's inputs are stored per segment, and how they are made from steps.

Stacked frames are stored unstacked (each frame once) and stacked again by a sliding window.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor

from prefrl.control.policies import is_image


class Layout(NamedTuple):
    """How the reward network's inputs are stored.

    ``features``: observation and action as ``[length, features]`` float32. ``stack``: bytes ``[length +
    channels - 1, height, width]``, a window of ``channels`` frames per step. ``image``: bytes ``[length,
    height, width, channels]``.
    """

    kind: Literal["features", "stack", "image"]
    shape: tuple[int, ...]
    """Of one step's input."""
    actions: int = 0
    """Discrete actions to one-hot into the features; 0 for continuous ones and for pixels."""
    action_start: int = 0
    """The smallest of those actions."""


def layout_of(observation_space: Space, action_space: Space, *, stacked_frames: bool) -> Layout:
    """The layout for a world. ``stacked_frames``: the channels of an image are successive frames."""
    if is_image(observation_space):
        assert isinstance(observation_space, Box)
        return Layout("stack" if stacked_frames else "image", tuple(observation_space.shape))
    actions, start = (
        (int(action_space.n), int(action_space.start)) if isinstance(action_space, Discrete) else (0, 0)
    )
    numbers = int(np.prod(observation_space.shape or (1,)))
    width = actions or int(np.prod(action_space.shape or (1,)))
    return Layout("features", (numbers + width,), actions, start)


def network_inputs(layout: Layout, observation: np.ndarray, world_action: np.ndarray) -> np.ndarray:
    """What the reward network sees of steps ``[..., ]``: features ``[..., f]``, or the frames themselves."""
    if layout.kind != "features":
        return observation
    leading = leading_shape(layout, observation, world_action)
    action = world_action
    if layout.actions:
        action = np.eye(layout.actions, dtype=np.float32)[world_action - layout.action_start]
    # Sizes in full: with no steps at all NumPy cannot tell what -1 stands for.
    parts = (x.reshape(*leading, math.prod(x.shape[len(leading) :])) for x in (observation, action))
    return np.concatenate(list(parts), -1).astype(np.float32)


def leading_shape(layout: Layout, observation: np.ndarray, world_action: np.ndarray) -> tuple[int, ...]:
    """The dimensions before those of one step, such as ``(time, envs)``."""
    if layout.kind != "features":
        return observation.shape[: -len(layout.shape)]
    return world_action.shape if layout.actions else world_action.shape[:-1]


def unstored_inputs(layout: Layout, stored: Tensor) -> Tensor:
    """Inputs ``[segments, length, ...]`` from storage form ``[segments, ...]``."""
    return stored.unfold(1, layout.shape[-1], 1) if layout.kind == "stack" else stored
