"""Segments of Atari play, rebuilt picture by picture from their episode's seed and actions.

Nothing but actions is stored: the episode is played again from its start on an emulator of its own, in full
colour for people or as the 84x84 pictures that the reward network saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from numpy.typing import NDArray

from envs.atari import check_choices, is_atari_game, make_emulators
from envs.atari_masks import NATIVE_HEIGHT, NATIVE_WIDTH, blank, native_masks, small_masks
from envs.errors import WorldError

Pictures = NDArray[np.uint8]
Replay = Mapping[str, NDArray[Any]]


def render_atari_clip(task: str, replay: Replay) -> Pictures:
    """The segment in full colour, uint8 [L, 210, 160, 3], blanked; frame k is where its k-th action is taken.

    Args:
        task: the game.
        replay: `episode_seed` int64 [1], `actions` uint8 [start + L] from the episode's first step on, and
            `start` int64 [1], the number of actions before the segment.

    Raises:
        WorldError: the game is unknown, the replay is not one of Atari, or the game ends before the segment.
    """
    pictures = _play(task, replay, grayscale=False, img_height=NATIVE_HEIGHT, img_width=NATIVE_WIDTH)
    blank(pictures, native_masks(task))
    return pictures


def render_network_view(task: str, replay: Replay) -> Pictures:
    """The segment as the networks saw it, uint8 [L, 84, 84]: the newest frame of each observation, blanked.

    Takes and raises what `render_atari_clip` does.
    """
    pictures = _play(task, replay)
    blank(pictures, small_masks(task))
    return pictures


def _play(task: str, replay: Replay, **output: Any) -> Pictures:
    seed, actions, start = _checked(task, replay)
    emulators = make_emulators(task, 1, 1, **output)
    try:
        check_choices(task, actions, emulators)
        frames = _frames(emulators, seed, actions)
        return np.stack([frame for step, frame in enumerate(frames) if step >= start])
    finally:
        emulators.close()


def _frames(emulators: AtariVectorEnv, seed: int, actions: NDArray[np.int64]) -> Iterator[Pictures]:
    """Yield the picture in which each of `actions` int64 [T] is taken."""
    frames, _ = emulators.reset(seed=np.array([seed]))
    yield frames[0, 0]
    for step, action in enumerate(actions[:-1]):
        frames, _, terminated, truncated, _ = emulators.step(np.array([action]))
        if terminated[0] or truncated[0]:
            raise WorldError(f"the episode of seed {seed} ends after {step + 1} of {len(actions)} actions")
        yield frames[0, 0]


def _checked(task: str, replay: Replay) -> tuple[int, NDArray[np.int64], int]:
    if not is_atari_game(task):
        raise WorldError(f"unknown game {task!r}: clips are replayed in the game they were recorded in")
    missing = {"episode_seed", "actions", "start"} - set(replay)
    if missing:
        raise WorldError(f"the replay lacks {', '.join(sorted(missing))}: it is not one of {task}")
    actions, start = replay["actions"].astype(np.int64), int(replay["start"][0])
    if not 0 <= start < len(actions):
        raise WorldError(f"the segment starts at step {start} of {len(actions)}: give all its actions")
    return int(replay["episode_seed"][0]), actions, start
