"""What is blanked in the seven games: score, lives, BeamRider's enemy ship count, Enduro's speedometer.

Christiano et al. 2017 (A.2) black these out, so that neither a reward network nor a policy nor a person can
read the true reward off the screen. The paper prints no coordinates; these were found by writing other values
into the emulator's memory and comparing the pictures, and a test repeats that. Space Invaders' right-hand
score is the second player's, always 0000, and stays: the command ship flies across it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

NATIVE_HEIGHT: Final = 210
NATIVE_WIDTH: Final = 160
SMALL_SIZE: Final = 84


class Mask(NamedTuple):
    """A rectangle of pixels that is blanked: rows top to bottom, columns left to right, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int
    red: int = 0
    """On the screen, blank only while some pixel in the rectangle is at least this red (0: always)."""
    grey: int = 0
    """At 84x84, blank only while some pixel in the rectangle is at least this bright (0: always)."""


NATIVE_MASKS: Final[Mapping[str, Mapping[str, Mask]]] = {
    "beam-rider": {
        "score": Mask(10, 18, 61, 107),
        "enemy ship count": Mask(32, 40, 20, 31),
        "lives": Mask(183, 190, 32, 145),
    },
    "breakout": {"score": Mask(5, 15, 36, 80), "lives": Mask(5, 15, 100, 112)},
    "enduro": {
        "speedometer": Mask(164, 173, 56, 104),
        "score: day": Mask(179, 188, 56, 64),
        "score: cars left to pass": Mask(179, 188, 72, 104),
    },
    "pong": {"score of the opponent": Mask(1, 21, 20, 48), "score": Mask(1, 21, 100, 128)},
    "qbert": {"score": Mask(6, 14, 33, 73), "lives": Mask(16, 28, 33, 73)},
    "seaquest": {"score": Mask(9, 17, 58, 106), "lives": Mask(22, 30, 58, 106)},
    # The number of lives stands in the cannon's way for a second after each loss. Nothing else that comes
    # there is as bright (shots are 142 but one pixel wide), so the cannon stays visible the rest of the time.
    "space-invaders": {"score": Mask(10, 20, 4, 64), "lives": Mask(185, 195, 84, 96, red=162, grey=133)},
}
"""Each game's blanked rectangles and what they hide, in the coordinates of the 210x160 screen."""


def native_masks(task: str) -> tuple[Mask, ...]:
    """The masks of `task` on the 210x160 screen; none for a game that is not listed."""
    return tuple(NATIVE_MASKS.get(task, {}).values())


def small_masks(task: str) -> tuple[Mask, ...]:
    """The masks of `task` at 84x84: they cover every pixel that a masked pixel of the screen reaches.

    Area resizing lets row j of the small picture mix rows 2.5 j to 2.5 (j + 1) of the screen, and column k
    columns 1.905 k to 1.905 (k + 1), so a mask grows outwards to whole small pixels.
    """
    return tuple(_shrunk(mask) for mask in native_masks(task))


def blank(frames: NDArray[np.uint8], masks: tuple[Mask, ...]) -> None:
    """Blacken `masks` in place, in grey frames uint8 [N, 84, 84] or coloured ones uint8 [N, 210, 160, 3]."""
    for mask in masks:
        area = frames[:, mask.top : mask.bottom, mask.left : mask.right]
        brightness, enough = (area[..., 0], mask.red) if area.ndim == 4 else (area, mask.grey)
        area[(brightness >= enough).any(axis=(1, 2)) if enough else slice(None)] = 0


def _shrunk(mask: Mask) -> Mask:
    return mask._replace(
        top=mask.top * SMALL_SIZE // NATIVE_HEIGHT,
        bottom=-(-mask.bottom * SMALL_SIZE // NATIVE_HEIGHT),
        left=mask.left * SMALL_SIZE // NATIVE_WIDTH,
        right=-(-mask.right * SMALL_SIZE // NATIVE_WIDTH),
    )
