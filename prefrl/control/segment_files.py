"""Segments on disk: one ``<id>.npz`` each, without pickle, whole or not there."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from prefrl.control.segments import ARRAYS, Replay, Segments
from prefrl.errors import UsageError

UNREADABLE = (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises for files that are missing, torn, flipped, or something else altogether."""
REPLAY = "replay_"
"""Prefix of the arrays that redraw the segment."""


def save_segment(folder: Path, segment_id: str, segments: Segments, row: int) -> None:
    """Writes one segment as ``<id>.npz`` (no pickle), aside and then renamed.

    A file already there was left by a process that died before it asked about the segment, and a run that
    does not repeat itself bit for bit has another one under the same id by now: it is replaced.
    """
    path = folder / f"{segment_id}.npz"
    arrays: dict[str, Any] = {name: getattr(segments, name)[row] for name in ARRAYS}
    arrays |= {f"{REPLAY}{name}": array for name, array in segments.replays[row].items()}
    aside = path.with_suffix(".tmp")
    try:
        with open(aside, "wb") as file:
            np.savez_compressed(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise UsageError(
            f"cannot write segment {path}: {error.strerror}; free disk space, then --resume"
        ) from error


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
            arrays: dict[str, Any] = dict(file)
        replay = {name.removeprefix(REPLAY): a for name, a in arrays.items() if name.startswith(REPLAY)}
        return Segments(**{name: arrays[name][None] for name in ARRAYS}, replays=[replay])
    except UNREADABLE as error:
        raise UsageError(
            f"segment {path} is missing or damaged ({error}): restore it from a back-up"
        ) from error
