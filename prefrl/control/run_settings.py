"""Reading the settings of a run back from its folder; without torch."""

from __future__ import annotations

from pathlib import Path

from prefrl.config_io import config_from_dict, config_to_dict
from prefrl.control.config import TrainConfig
from prefrl.errors import UsageError
from prefrl.runs.log import RunFolder
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import is_collection


def load_config(folder: str | Path) -> TrainConfig:
    """The settings that the run in a folder was started with.

    Raises:
        UsageError: no run there, or settings that this version does not know.
    """
    settings = RunFolder.open(folder).config
    if is_collection(settings):
        raise UsageError(
            f"{folder} is a collection of texts, not a run of an agent: see prefrl label and text-fit"
        )
    return config_from_dict(TrainConfig, settings)


def run_name(folder: str | Path, store: FeedbackStore) -> str:
    """The run's name in its store: its folder's when it began; a folder that is moved keeps it."""
    names = store.runs()
    return names[0] if len(names) == 1 else Path(folder).resolve().name


def check_same_settings(folder: str | Path, config: TrainConfig) -> None:
    """Raises a UsageError that names the first setting in which a run differs from ``config``."""
    started = load_config(folder)
    if started == config:
        return
    theirs, ours = config_to_dict(started), config_to_dict(config)
    changed = next(name for name in ours if theirs[name] != ours[name])
    raise UsageError(
        f"{folder} was started with {changed} {theirs[changed]}, not {ours[changed]}: "
        "resume it with its own settings, or choose another --run"
    )
