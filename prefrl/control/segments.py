"""Segments: fixed-length pieces of one episode, as they are cut, kept, written and shown to the networks.

Arrays are copied out of the rollout, so that a kept segment keeps nothing else alive. Stacked frames are
kept unstacked (each frame once) and stacked again by index.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from torch import Tensor

from prefrl.control.policies import is_image
from prefrl.control.rollouts import Rollout
from prefrl.errors import UsageError

Replay = dict[str, np.ndarray]


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
    actions, start = (int(action_space.n), int(action_space.start)) if isinstance(action_space, Discrete) else (0, 0)
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
    flat = observation.reshape(*leading, -1)
    return np.concatenate([flat, action.reshape(*leading, -1)], -1).astype(np.float32)


def leading_shape(layout: Layout, observation: np.ndarray, world_action: np.ndarray) -> tuple[int, ...]:
    """The dimensions before those of one step, such as ``(time, envs)``."""
    if layout.kind != "features":
        return observation.shape[: -len(layout.shape)]
    return world_action.shape if layout.actions else world_action.shape[:-1]


@dataclass
class Segments:
    """A batch of segments; ``true_reward`` is what oracles sum and nobody else reads."""

    inputs: np.ndarray
    """``[segments, ...]`` in the layout's storage form."""
    true_reward: np.ndarray
    """``[segments, length]``."""
    policy_step: np.ndarray
    episode_seed: np.ndarray
    start: np.ndarray
    """Step of the episode at which the segment begins."""
    replays: list[Replay]
    """What redraws each segment exactly: simulator states, or the episode's seed and actions."""

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: np.ndarray) -> Segments:
        """Copies of some segments."""
        picked = (self.true_reward, self.policy_step, self.episode_seed, self.start)
        return Segments(self.inputs[rows], *(array[rows] for array in picked), [self.replays[i] for i in rows])

    @staticmethod
    def join(parts: list[Segments]) -> Segments:
        names = ("inputs", "true_reward", "policy_step", "episode_seed", "start")
        joined = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
        return Segments(*joined, [replay for part in parts for replay in part.replays])


class RecordsActions(Protocol):
    """A world that rebuilds episodes from their seed and actions."""

    def episode_actions(self, episode_seed: int) -> np.ndarray: ...

    def forget_finished_episodes(self) -> None: ...


def cut_segments(
    rollout: Rollout, layout: Layout, env: object, *, length: int, count: int, step: int, rng: np.random.Generator
) -> Segments:
    """At most ``count`` random segments of a rollout, no two the same.

    A segment may end at an episode's end and never spans one, seen by the agent or not.

    Args:
        rollout: what was collected last in ``env``.
        layout: how to store the network's inputs.
        env: the world; its record of actions is copied where it keeps one.
        length: steps per segment; a rollout shorter than this has no segments.
        count: segments wanted.
        step: agent steps of training so far, kept as provenance.
        rng: chooses.
    """
    starts = possible_starts(rollout.episode_end, length)
    chosen = starts[rng.choice(len(starts), min(count, len(starts)), replace=False)]
    time, envs = chosen[:, :1] + np.arange(length), chosen[:, 1:]
    return Segments(
        inputs=_stored_inputs(rollout, layout, time, envs),
        true_reward=rollout.true_reward[time, envs],
        policy_step=np.full(len(chosen), step, dtype=np.int64),
        episode_seed=rollout.episode_seed[chosen[:, 0], chosen[:, 1]],
        start=rollout.episode_step[chosen[:, 0], chosen[:, 1]],
        replays=[_replay(rollout, env, int(t), int(i), length) for t, i in chosen],
    )


def possible_starts(episode_end: np.ndarray, length: int) -> np.ndarray:
    """``[n, 2]`` of (time, env): all pieces of ``length`` steps in which only the last may end an episode."""
    steps = episode_end.shape[0]
    if length > steps:
        return np.zeros((0, 2), dtype=np.int64)
    ends = np.cumsum(episode_end, axis=0)
    before = np.concatenate([np.zeros_like(ends[:1]), ends[:-1]])
    inside = before[length - 1 :] - before[: steps - length + 1]
    return np.argwhere(inside == 0)


class SegmentBank:
    """Annotated segments on the learner's device: the :class:`prefrl.ensemble.Items` of this track.

    Grows by doubling; rows are never moved or removed, so comparisons can hold row numbers.
    """

    def __init__(self, layout: Layout, device: torch.device) -> None:
        self.layout = layout
        self.device = device
        self.ids: list[str] = []
        self._storage: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: list[str], segments: Segments) -> np.ndarray:
        """Appends segments and returns their rows."""
        fresh = torch.from_numpy(segments.inputs).to(self.device)
        first, total = len(self.ids), len(self.ids) + len(fresh)
        if self._storage is None or total > len(self._storage):
            capacity = max(total, 2 * first)
            larger = torch.empty((capacity, *fresh.shape[1:]), dtype=fresh.dtype, device=self.device)
            if self._storage is not None:
                larger[:first] = self._storage[:first]
            self._storage = larger
        self._storage[first:total] = fresh
        self.ids.extend(ids)
        return np.arange(first, total)

    def inputs(self, rows: Tensor) -> Tensor:
        """``[rows, length, ...]`` as the reward network takes them."""
        assert self._storage is not None
        return _unstored_inputs(self.layout, self._storage[rows])

    def mask(self, rows: Tensor) -> None:
        """Segments have one length: every step counts."""


class CandidateItems:
    """The pool's segments as items, without copying them into a bank."""

    def __init__(self, layout: Layout, segments: Segments, device: torch.device) -> None:
        self.layout, self.segments, self.device = layout, segments, device

    def inputs(self, rows: Tensor) -> Tensor:
        stored = torch.from_numpy(self.segments.inputs[rows.cpu().numpy()]).to(self.device)
        return _unstored_inputs(self.layout, stored)

    def mask(self, rows: Tensor) -> None:
        """Segments have one length: every step counts."""


def save_segment(folder: Path, segment_id: str, segments: Segments, row: int) -> None:
    """Writes one segment as ``<id>.npz`` (no pickle), aside and then renamed; keeps a file already there."""
    path = folder / f"{segment_id}.npz"
    if path.exists():
        return
    own = {name: getattr(segments, name)[row] for name in ("inputs", "true_reward", "policy_step", "episode_seed", "start")}
    replay = {f"replay_{name}": array for name, array in segments.replays[row].items()}
    aside = path.with_suffix(".tmp")
    try:
        with open(aside, "wb") as file:
            np.savez_compressed(file, **own, **replay)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UsageError(f"cannot write segment {path}: {error.strerror}; free disk space, then --resume") from error


def load_segments(folder: Path, ids: list[str]) -> Segments:
    """Reads segments back.

    Raises:
        UsageError: a file is missing or damaged; the message names it.
    """
    return Segments.join([_load_segment(folder / f"{segment_id}.npz") for segment_id in ids])


def load_replay(folder: Path, segment_id: str) -> Replay:
    """What redraws one segment."""
    return _load_segment(folder / f"{segment_id}.npz").replays[0]


def _load_segment(path: Path) -> Segments:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: Mapping[str, np.ndarray] = dict(file)
        names = ("inputs", "true_reward", "policy_step", "episode_seed", "start")
        replay = {name.removeprefix("replay_"): a for name, a in arrays.items() if name.startswith("replay_")}
        return Segments(*(arrays[name][None] for name in names), [replay])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"segment {path} is missing or damaged ({error}): restore it from a back-up") from error


def _stored_inputs(rollout: Rollout, layout: Layout, time: np.ndarray, envs: np.ndarray) -> np.ndarray:
    if layout.kind == "features":
        return network_inputs(layout, rollout.observation[time, envs], rollout.world_action[time, envs])
    if layout.kind == "image":
        return rollout.observation[time, envs]
    first = np.moveaxis(rollout.observation[time[:, 0], envs[:, 0]], -1, 1)
    newest = rollout.observation[time[:, 1:], envs, ..., -1]
    return np.concatenate([first, newest], axis=1)


def _unstored_inputs(layout: Layout, stored: Tensor) -> Tensor:
    return stored.unfold(1, layout.shape[-1], 1) if layout.kind == "stack" else stored


def _replay(rollout: Rollout, env: object, t: int, i: int, length: int) -> Replay:
    if rollout.state is not None:
        return {"states": rollout.state[t : t + length, i].copy()}
    if not hasattr(env, "episode_actions"):
        return {}
    seed, start = rollout.episode_seed[t, i], rollout.episode_step[t, i]
    actions: np.ndarray = env.episode_actions(int(seed))[: start + length]
    return {"episode_seed": np.asarray(seed), "actions": actions.copy(), "start": np.asarray(start)}
