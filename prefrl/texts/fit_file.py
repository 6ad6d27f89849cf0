"""What a reward on features of texts has learned, as a file: one process fits and writes, a page reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from prefrl.bootstrap import Interval
from prefrl.files import write_atomically

FILE = "text_reward.json"


@dataclass(frozen=True)
class Curve:
    """The reward along one feature, the others at their means; relative to that of the mean text."""

    feature: str
    value: list[float]
    """In the feature's own unit, from its 5% to its 95% quantile."""
    reward: list[float]
    """Mean over members, as log odds against the mean text."""
    lowest: list[float]
    """Of any member."""
    highest: list[float]


@dataclass(frozen=True)
class TextFit:
    """A fitted reward, and how it predicts pairs of prompts it was not fitted on."""

    digest: str
    """Of the votes it was fitted to."""
    answers: int
    pairs: int
    """Decided pairs that it was tested on."""
    agreement: Interval
    log_loss: float
    folds: int
    curves: tuple[Curve, ...]


def save_text_fit(folder: Path, fit: TextFit) -> None:
    """Writes the file; raises UsageError where the disk refuses."""
    write_atomically(folder / FILE, json.dumps(asdict(fit)).encode())


def load_text_fit(folder: Path) -> TextFit | None:
    """The fit in a collection's folder, None where there is none yet or the file cannot be read."""
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        curves = tuple(Curve(**curve) for curve in values["curves"])
        return TextFit(**{**values, "agreement": Interval(**values["agreement"]), "curves": curves})
    except (OSError, ValueError, TypeError, KeyError):
        return None
