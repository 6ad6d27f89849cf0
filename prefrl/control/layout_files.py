"""How segments are laid out, noted beside them, so that a folder of segments can be understood on its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefrl.control.layouts import Layout
from prefrl.errors import UsageError
from prefrl.files import write_atomically

LAYOUT = "layout.json"
DIMENSIONS = {"features": 1, "stack": 3, "image": 3}
"""Of one step's input."""


def save_layout(folder: Path, layout: Layout) -> None:
    """Writes ``layout.json`` into a folder of segments, unless it is there."""
    path = folder / LAYOUT
    if not path.exists():
        write_atomically(path, (json.dumps(layout_to_dict(layout)) + "\n").encode())


def load_layout(folder: str | Path) -> Layout:
    """How the segments of a folder are laid out.

    Raises:
        UsageError: it does not say so, or not in words that we know.
    """
    path = Path(folder) / LAYOUT
    if not path.is_file():
        raise UsageError(f"there is no {path}: give the segments folder of a run, or say layout=...")
    try:
        return layout_from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged ({error}): restore it, or say layout=...") from error


def layout_to_dict(layout: Layout) -> dict[str, Any]:
    """A layout as plain values, for a file."""
    return layout._asdict() | {"shape": list(layout.shape)}


def layout_from_dict(values: Mapping[str, Any]) -> Layout:
    """The layout that ``layout_to_dict`` was given.

    Raises:
        ValueError: it is of no kind that there is; also KeyError and TypeError for what is no layout at all.
    """
    kind, shape, actions = values["kind"], values["shape"], values["actions"]
    if kind not in DIMENSIONS or len(shape) != DIMENSIONS[kind]:
        raise ValueError(f"unknown layout {dict(values)}")
    return Layout(kind, tuple(int(size) for size in shape), int(actions), int(values.get("action_start", 0)))
