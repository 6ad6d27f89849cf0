"""A run whose open pairs wait for people, their clips drawn; made once, copied for each test by `runs`."""

import threading
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import Killed, run_tiny, tiny

from experiments.clip_worker import ClipsConfig, work


def wait_for_people(
    folder: Path, *, queries: int = 6, labels: int = 16, query: dict[str, Any] | None = None, **settings: Any
) -> Path:
    """Trains until the run waits for its first labels, and dies there."""

    def die(row: dict[str, Any]) -> None:
        if "waiting" in row:
            raise Killed

    asked = {"open_queries": queries, "pool_size": max(60, 2 * queries)} | (query or {})
    config = tiny(teacher="human", labels=labels, steps=1024, query=asked, **settings)
    with pytest.raises(Killed):
        run_tiny(folder, config, watch=die)
    return folder


def make_waiting_run(folder: Path, *, pairs: int = 6, **settings: Any) -> Path:
    """A run that waits for people, with ``pairs`` queries whose clips are drawn."""
    wait_for_people(folder, queries=pairs, **settings)
    work(ClipsConfig(folder, ahead=2 * pairs, once=True), threading.Event())
    return folder
