"""The clips of a query beside each other in one looping picture, for labellers without a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from prefrl.feedback import Query
from prefrl.files import explained_disk_errors

GAP_PIXELS = 8
SMALL_PIXELS = 200
"""Clips less wide than this are shown at twice their size."""


def write_clips(path: Path, query: Query, shown: tuple[int, ...], task: str, *, style: str) -> None:
    """Draws the segments of a query beside each other, in the order shown, into one looping picture.

    Raises:
        UsageError: a segment's file is missing, or the disk is full.
        WorldError: this world or this machine cannot draw them.
    """
    from envs.clips import render_clip
    from experiments.render import frames_per_second, write_film
    from prefrl.control.segment_files import load_replay

    segments = path.parent.parent / "segments"
    clips = [render_clip(task, load_replay(segments, query.items[place]), style=style) for place in shown]
    gap = np.full((*clips[0].shape[:2], GAP_PIXELS, 3), 255, np.uint8)
    parts = [part for clip in clips for part in (gap, clip)][1:]
    frames = np.concatenate(parts, axis=2)
    if clips[0].shape[2] < SMALL_PIXELS:
        frames = frames.repeat(2, axis=1).repeat(2, axis=2)
    with explained_disk_errors(f"make {path.parent}"):
        path.parent.mkdir(exist_ok=True)
    write_film(path, frames, fps=frames_per_second(task))
