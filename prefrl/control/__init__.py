"""Track 1: agents in Atari games and MuJoCo tasks, and in any Gymnasium world.

``from prefrl.control import TrainConfig, train`` is the whole command line as a function. Names are loaded
when they are first used, so that reading a config does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefrl.control.config import PolicyConfig, RewardConfig, TrainConfig
    from prefrl.control.query_config import QueryConfig
    from prefrl.control.run_settings import load_config
    from prefrl.control.training import Interrupted, train

__all__ = [
    "Interrupted",
    "PolicyConfig",
    "QueryConfig",
    "RewardConfig",
    "TrainConfig",
    "load_config",
    "train",
]

_HOMES = {name: "config" for name in ("PolicyConfig", "RewardConfig", "TrainConfig")} | {
    "QueryConfig": "query_config",
    "load_config": "run_settings",
    "Interrupted": "training",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
