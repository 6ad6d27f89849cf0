"""What every world refuses at its door: seeds, options and actions of another form than its own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.errors import WorldError


def check_reset(task: str, seed: object, options: dict[str, Any] | None) -> None:
    """Refuse a list of seeds, and options.

    Raises:
        WorldError: there are any.
    """
    if isinstance(seed, list | tuple):
        raise WorldError("seed is a list: give one whole number, from which every episode's seed follows")
    if options:
        raise WorldError(f"options {sorted(options)} mean nothing to {task}: reset without them")


def check_shape(task: str, actions: NDArray[Any], shape: tuple[int, ...] | None) -> None:
    """Refuse actions of another shape than the world's own.

    Raises:
        WorldError: they are.
    """
    if actions.shape != shape:
        raise WorldError(f"actions have shape {actions.shape}: {task} takes {shape}")


def check_opened(task: str, episode_seeds: NDArray[np.int64]) -> None:
    """Refuse a step before the first reset.

    Raises:
        WorldError: no episode was opened.
    """
    if not episode_seeds[0]:
        raise WorldError(f"{task} has no open episodes: call reset before step")
