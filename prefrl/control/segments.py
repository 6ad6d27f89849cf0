"""Segments: fixed-length pieces of one episode, cut out of rollouts.

Arrays are copied, so that a kept segment keeps nothing else alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from prefrl.control.layouts import Layout, network_inputs
from prefrl.control.rollouts import Rollout

Replay = dict[str, np.ndarray]

ARRAYS = ("inputs", "true_reward", "policy_step", "episode_seed", "start")
"""What a batch of segments holds as arrays, one row per segment."""


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
        arrays: dict[str, Any] = {name: getattr(self, name)[rows] for name in ARRAYS}
        return Segments(**arrays, replays=[self.replays[row] for row in rows])

    @staticmethod
    def join(parts: list[Segments]) -> Segments:
        """All segments of several batches as one."""
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS
        }
        return Segments(**arrays, replays=[replay for part in parts for replay in part.replays])


class RecordsActions(Protocol):
    """A world that rebuilds episodes from their seed and actions."""

    def episode_actions(self, episode_seed: int) -> np.ndarray: ...

    def forget_finished_episodes(self) -> None: ...


def cut_segments(
    rollout: Rollout,
    layout: Layout,
    env: object,
    *,
    length: int,
    count: int,
    step: int,
    rng: np.random.Generator,
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


def _replay(rollout: Rollout, env: object, t: int, i: int, length: int) -> Replay:
    if rollout.state is not None:
        return {"states": rollout.state[t : t + length, i].copy()}
    if not hasattr(env, "episode_actions"):
        return {}
    seed, start = rollout.episode_seed[t, i], rollout.episode_step[t, i]
    actions: np.ndarray = env.episode_actions(int(seed))[: start + length]
    return {"episode_seed": np.array([seed]), "actions": actions.copy(), "start": np.array([start])}


def _stored_inputs(rollout: Rollout, layout: Layout, time: np.ndarray, envs: np.ndarray) -> np.ndarray:
    if layout.kind == "features":
        return network_inputs(layout, rollout.observation[time, envs], rollout.world_action[time, envs])
    if layout.kind == "image":
        return rollout.observation[time, envs]
    first = np.moveaxis(rollout.observation[time[:, 0], envs[:, 0]], -1, 1)
    newest = rollout.observation[time[:, 1:], envs, ..., -1]
    return np.concatenate([first, newest], axis=1)
