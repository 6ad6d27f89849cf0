"""Every clip again, pixel by pixel, from what little of it was stored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import WorldError
from envs.tasks import MUJOCO_NAMES, PROBE_NAMES, canonical_name

STYLES = ("plain", "pretty")

Replay = dict[str, NDArray[Any]]


def capture_replay(
    world: Any, *, episode_seed: int, start: int, length: int, states: NDArray[np.float64] | None = None
) -> Replay:
    """Return what `render_clip` needs to draw steps `start` to `start + length` of an episode, as copies.

    Args:
        world: the world that the steps were taken in; a game must not yet have forgotten the episode.
        episode_seed: the episode's own, from the world's infos.
        start: number of the first step, counted from the episode's beginning.
        length: steps, 1 or more.
        states: on worlds whose infos hold `state`, those of the observations in which the steps were taken,
            [length, S].

    Returns:
        {"states"} for MuJoCo and probes; {"episode_seed", "actions", "start"} for games, the actions from the
        episode's beginning; {} for a foreign Gymnasium environment, whose clips cannot be drawn again.
    """
    if hasattr(world, "episode_actions"):
        actions = world.episode_actions(episode_seed)
        if len(actions) < start + length:
            raise WorldError(f"episode {episode_seed} has {len(actions)} steps, not {start + length}")
        return {
            "episode_seed": np.array([episode_seed], np.int64),
            "actions": actions[: start + length].copy(),
            "start": np.array([start], np.int64),
        }
    if states is None:
        return {}
    if len(states) != length:
        raise WorldError(f"{len(states)} states were given for {length} steps")
    return {"states": np.array(states, np.float64)}


def render_clip(task: str, replay: Mapping[str, NDArray[Any]], *, style: str = "plain") -> NDArray[np.uint8]:
    """Draw a clip: frame k shows the observation in which the segment's k-th action was taken.

    Args:
        task: the task's name.
        replay: as `capture_replay` made it.
        style: "plain" or "pretty"; only MuJoCo draws the two differently.

    Returns:
        Frames [L, H, W, 3]: games 210x160 in full colour, blanked where the agent sees nothing either.

    Raises:
        WorldError: the replay is not one of this task, or this machine cannot draw it.
    """
    if style not in STYLES:
        raise WorldError(f"style is {style!r}: give {' or '.join(STYLES)}")
    task = canonical_name(task)
    if task in MUJOCO_NAMES:
        from envs.mujoco_clips import render_states

        return render_states(task, _part(task, replay, "states"), style=style)
    if task in PROBE_NAMES:
        from envs.probes import draw_probe

        return draw_probe(task, _part(task, replay, "states"))
    if "actions" in replay:
        from envs.atari_clips import render_atari_clip

        return render_atari_clip(task, replay)
    raise WorldError(f"clips of {task} cannot be drawn again: only our own worlds can replay an episode")


def _part(task: str, replay: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in replay:
        raise WorldError(f"the replay holds {sorted(replay)}, not the {name} of {task}")
    return replay[name]
