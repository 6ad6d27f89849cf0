"""Run folders as reports and pages read them: finished, going on or killed half-way, never silently wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefrl.errors import UsageError
from prefrl.runs.log import CONFIG, RunFolder
from prefrl.texts.response_files import is_collection

FloatArray = NDArray[np.float64]

# Settings that say where a run was made and how often it wrote, not what it does: runs that differ in these
# alone are seeds of one experiment.
_INCIDENTAL = {"seed", "run", "resume", "device", "num_threads", "checkpoint_every_steps", "log_every_steps"}
_ONLY_WHERE_A_REWARD_IS_LEARNED = {"labels", "teacher", "query", "reward_model"}


@dataclass(frozen=True)
class Run:
    """One run folder; `summary` is empty until it has finished, `labels` 0 without a learned reward."""

    path: Path
    task: str
    reward: str
    teacher: str
    labels: int
    agent: str
    seed: int
    steps_planned: float
    settings: Mapping[str, str]
    commit: str
    metrics: Mapping[str, FloatArray]
    summary: Mapping[str, Any]

    @property
    def finished(self) -> bool:
        """Whether the run has written its summary."""
        return bool(self.summary)

    @property
    def steps(self) -> float:
        """Steps taken so far; 0 before the first row of metrics."""
        steps = self.number("steps")
        return steps if np.isfinite(steps) else float(self.column("step").max(initial=0.0))

    def number(self, key: str) -> float:
        """A figure of the summary; NaN if it is absent, null or no number."""
        return _as_number(self.summary.get(key))

    def column(self, key: str) -> FloatArray:
        """A column of the metrics, NaN where a row has none. [rows]"""
        missing = np.full(len(self.metrics["step"]), np.nan)
        return self.metrics.get(key, missing)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The run folders among `paths`, or up to two levels below them, each once; no collections of texts.

    Raises UsageError for a path that does not exist or holds no run, and for no path at all.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise UsageError(f"{path} is no folder: name a run folder, such as runs/demo")
        inside = [sorted(path.glob(pattern)) for pattern in (CONFIG, f"*/{CONFIG}", f"*/*/{CONFIG}")]
        folders = [config.parent for config in next((configs for configs in inside if configs), [])]
        folders = [folder for folder in folders if not _is_collection(folder)]
        if not folders:
            raise UsageError(f"{path} is no run folder: neither it nor the folders in it hold a {CONFIG}")
        found.update({folder.resolve(): folder for folder in folders})
    if not found:
        raise UsageError("no run to report: name run folders, such as runs/demo")
    return list(found.values())


def _is_collection(folder: Path) -> bool:
    """Whether a folder holds texts alone; one that cannot be read is for `read_run` to complain about."""
    try:
        return is_collection(RunFolder.open(folder).config)
    except UsageError:
        return False


def read_run(path: Path) -> Run:
    """One run folder; metrics or a summary that are missing mean that the run has not come so far.

    Raises UsageError naming the file if its config or summary cannot be read or is not that of a run.
    """
    folder = RunFolder.open(path)
    content = folder.provenance()
    nested = content.get("config")
    config = {**content, **nested} if isinstance(nested, dict) else content
    settings = nested if isinstance(nested, dict) else config
    task = config.get("task")
    if not isinstance(task, str) or not task:
        raise UsageError(f"{path / CONFIG} names no task, it is not that of a run: leave {path} out")
    reward = str(config.get("reward", "learned"))
    learned = reward == "learned"
    return Run(
        path=path,
        task=task,
        reward=reward,
        teacher=str(config.get("teacher", "unknown")) if learned else "",
        labels=int(_setting(config, "labels", path)) if learned else 0,
        agent=str(config.get("agent") or config.get("algorithm", "ppo")),
        seed=int(_setting(config, "seed", path)),
        steps_planned=_setting(config, "steps", path),
        settings=_flatten(settings, _INCIDENTAL | (set() if learned else _ONLY_WHERE_A_REWARD_IS_LEARNED)),
        commit=str(content.get("commit") or "unknown"),
        metrics=_columns(folder.read_metrics()),
        summary=folder.read_summary() or {},
    )


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, FloatArray]:
    kept: list[Mapping[str, Any]] = []
    for row in rows:
        while kept and kept[-1]["step"] >= row["step"]:
            kept.pop()  # a resumed run repeats the steps since its checkpoint
        kept.append(row)
    keys = {"step", *(key for row in kept for key in row)}
    return {key: np.array([_as_number(row.get(key)) for row in kept], np.float64) for key in keys}


def _as_number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def _setting(config: Mapping[str, Any], name: str, path: Path) -> float:
    value = _as_number(config.get(name))
    if not np.isfinite(value):
        raise UsageError(
            f"{path / CONFIG} has no number for {name}, it is not that of a run: leave {path} out"
        )
    return value


def _flatten(settings: Mapping[str, Any], ignored: set[str], prefix: str = "") -> dict[str, str]:
    """Nested settings as text under dotted names such as `policy.hidden`."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if key in ignored:
            continue
        if isinstance(value, dict):
            flat.update(_flatten(value, ignored, f"{prefix}{key}."))
        else:
            flat[prefix + key] = str(value)
    return flat
