"""Reward models in files: architecture, layout, parameters and normalisation in one, loaded without code.

A run leaves ``reward_model.pt`` in its folder. The file is read with ``torch.load(weights_only=True)``, which
runs nothing, and carries a digest of everything in it.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prefrl.config_io import config_from_dict, config_to_dict
from prefrl.control.build import make_ensemble
from prefrl.control.config import RewardConfig
from prefrl.control.layout_files import layout_from_dict, layout_to_dict
from prefrl.control.layouts import Layout
from prefrl.control.reward_model import RewardModel
from prefrl.devices import make_device
from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically

REWARD_MODEL = "reward_model.pt"
FORMAT = "prefrl.reward_model"
FORMAT_VERSION = 1

_UNREADABLE = (
    pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError,
)  # fmt: skip
"""What ``torch.load`` raises for files that are torn, flipped, or something else altogether."""


def save_reward_model(
    path: str | Path, ensemble: RewardEnsemble, layout: Layout, config: RewardConfig
) -> Path:
    """Writes a reward model, whole or not at all; a folder gets ``reward_model.pt``. Returns the file.

    Args:
        path: the file, or an existing folder such as a run's.
        ensemble: what is saved: its parameters, its normalisation and its version.
        layout: how steps are laid out for it.
        config: what it was made from.

    Raises:
        UsageError: the disk refuses; an earlier file is intact then.
    """
    file = _file_of(path)
    content: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "layout": layout_to_dict(layout),
        "config": config_to_dict(config),
        "version": ensemble.version,
        "state": {name: tensor.detach().cpu().clone() for name, tensor in ensemble.state_dict().items()},
    }
    buffer = io.BytesIO()
    torch.save(content | {"digest": _digest(content)}, buffer)
    write_atomically(file, buffer.getvalue())
    return file


def load_reward_model(path: str | Path, *, device: str | torch.device = "cpu") -> RewardModel:
    """A saved reward model, ready to predict.

    Args:
        path: a file of ``save_reward_model``, or the folder of a run.
        device: where it shall live: cpu, cuda, or auto for a GPU where there is one.

    Raises:
        UsageError: there is no such file, it is damaged, or it is no reward model that this version can read.
    """
    file = _file_of(path)
    content = _read(file)
    where = make_device(device) if isinstance(device, str) else device
    try:
        layout = layout_from_dict(content["layout"])
        config = config_from_dict(RewardConfig, content["config"], where="reward_model")
        with torch.random.fork_rng(devices=[]):
            ensemble = make_ensemble(layout, config, torch.device("cpu"))
        ensemble.load_state_dict(content["state"])
    except (UsageError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file} does not fit this version of PrefRL ({_first_line(error)})") from error
    ensemble.version = int(content["version"])
    ensemble.eval()
    return RewardModel(ensemble.to(where), layout)


def _file_of(path: str | Path) -> Path:
    file = Path(path)
    return file / REWARD_MODEL if file.is_dir() else file


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UsageError(f"there is no reward model at {file}: give a run folder or its {REWARD_MODEL}")
    with explained_disk_errors(f"read {file}"):
        stored = file.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about foreign pickles, which are refused anyway
            content = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise UsageError(f"{file} is damaged or no reward model: restore it from a back-up") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError(f"{file} is no reward model of PrefRL: give a run's {REWARD_MODEL}")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise UsageError(f"{file} has format {version}, this PrefRL reads {FORMAT_VERSION}: update PrefRL")
    try:
        intact = content.pop("digest") == _digest(content)
    except _UNREADABLE:
        intact = False
    if not intact:
        raise UsageError(f"{file} is damaged (its digest is wrong): restore it from a back-up")
    return content


def _digest(content: dict[str, Any]) -> str:
    """SHA-256 over everything in a file; torch itself does not notice flipped bits in a tensor."""
    told = {name: value for name, value in content.items() if name != "state"}
    hashing = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    state: dict[str, Tensor] = content["state"]
    for name in sorted(state):
        tensor = state[name].contiguous()
        hashing.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hashing.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashing.hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
