"""Stacks of the last four frames, kept as one unsigned 32-bit number per pixel.

The oldest frame is the lowest byte and the newest the highest: shifting every number right by eight bits
drops the oldest frame, and the little-endian bytes of the array are the channels-last picture.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

STACKED_FRAMES: Final = 4
_PIXEL: Final = np.dtype("<u4")
_EVERY_BYTE: Final = np.uint32(0x01010101)
_ONE_FRAME: Final = np.uint32(8)

Frames = NDArray[np.uint8]
Stacks = NDArray[np.uint32]


def start_stacks(frames: Frames) -> Stacks:
    """Stacks uint32 [N, H, W] of first frames uint8 [N, H, W]: the first frame four times."""
    stacks: Stacks = frames.astype(_PIXEL)
    stacks *= _EVERY_BYTE
    return stacks


def roll_stacks(stacks: Stacks, frames: Frames) -> Stacks:
    """New stacks uint32 [N, H, W]: the oldest frame of `stacks` leaves, `frames` uint8 [N, H, W] enter."""
    rolled: Stacks = stacks >> _ONE_FRAME
    stacked_frames(rolled)[..., -1] = frames
    return rolled


def stacked_frames(stacks: Stacks) -> Frames:
    """The picture uint8 [N, H, W, 4] behind `stacks`, oldest frame first; a view, not a copy."""
    return stacks.view(np.uint8).reshape(*stacks.shape, STACKED_FRAMES)
