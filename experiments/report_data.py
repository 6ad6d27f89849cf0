"""Runs condensed to two small tables: enough to make a report again, small enough to commit.

``runs.csv`` has a row per run (who, settings, summary), ``curves.csv`` the metrics that a report draws,
thinned. A folder with the two can be named wherever a run folder can.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.report_curves import DRAWN
from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically
from prefrl.runs.folders import FloatArray, Run, find_runs, read_run

RUNS, CURVES = "runs.csv", "curves.csv"
POINTS = 60
"""Rows of each run's curves at most."""
_ABOUT = ("task", "reward", "teacher", "labels_planned", "agent", "seed", "steps_planned", "commit")
_FIGURES = (
    "steps",
    "labels",
    "skips",
    "true_return_mean",
    "true_return_std",
    "untrained_return_mean",
    "reward_correlation",
    "steps_per_second",
    "wall_seconds",
    "fit_seconds",
)


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """The runs at the paths: run folders, folders that hold some, or condensed data; raises as they do."""
    condensed = [path for path in paths if (path / RUNS).is_file()]
    folders = [path for path in paths if path not in condensed]
    whole = find_runs(folders) if folders or not condensed else []
    return [*(read_run(path) for path in whole), *(run for path in condensed for run in read_data(path))]


def write_data(folder: Path, runs: Sequence[Run]) -> None:
    """Condenses finished runs into ``folder``, replacing what an earlier call wrote there.

    Raises UsageError for a run that has not finished, two of one name, or a folder that cannot be written.
    """
    names = [run.path.name for run in runs]
    for run in runs:
        if not run.finished:
            raise UsageError(f"{run.path} has not finished: resume it, or leave it out of the data")
        if names.count(run.path.name) > 1:
            raise UsageError(f"two runs are named {run.path.name}: rename one of the folders")
    with explained_disk_errors(f"make the folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    _write(folder / RUNS, [_run_row(run) for run in runs])
    _write(folder / CURVES, [row for run in runs for row in _curve_rows(run)])


def read_data(folder: Path) -> list[Run]:
    """The runs that ``write_data`` condensed; raises UsageError naming a file that is not as it wrote it."""
    try:
        curves: dict[str, list[dict[str, str]]] = {}
        for row in _read(folder / CURVES):
            curves.setdefault(row["run"], []).append(row)
        return [_run(folder, row, curves.get(row["run"], [])) for row in _read(folder / RUNS)]
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(
            f"{folder}: {RUNS} and {CURVES} are not as a report writes them ({error!r})"
        ) from error


def _run_row(run: Run) -> dict[str, Any]:
    about = {name: getattr(run, "labels" if name == "labels_planned" else name) for name in _ABOUT}
    figures = {name: run.summary.get(name) for name in _FIGURES}
    exact = {"exact": run.summary.get("exact")}
    return {"run": run.path.name, **about, **figures, **exact, "settings": json.dumps(run.settings)}


def _curve_rows(run: Run) -> list[dict[str, Any]]:
    """The last number of each column in each of ``POINTS`` equal stretches of the run."""
    steps = run.column("step")
    if not len(steps):
        return []
    stretch = np.minimum((steps / steps[-1] * POINTS).astype(int), POINTS - 1)
    rows = []
    for part in (np.flatnonzero(stretch == place) for place in np.unique(stretch)):
        row: dict[str, Any] = {"run": run.path.name, "step": int(steps[part[-1]])}
        for key in DRAWN:
            values = run.column(key)[part]
            finite = values[np.isfinite(values)]
            row[key] = f"{finite[-1]:.5g}" if len(finite) else ""
        rows.append(row)
    return rows


def _run(folder: Path, row: dict[str, str], curve: Sequence[dict[str, str]]) -> Run:
    figures: dict[str, Any] = {name: float(row[name]) for name in _FIGURES if row[name]}
    return Run(
        path=folder / row["run"],
        task=row["task"],
        reward=row["reward"],
        teacher=row["teacher"],
        labels=int(row["labels_planned"]),
        agent=row["agent"],
        seed=int(row["seed"]),
        steps_planned=float(row["steps_planned"]),
        settings=json.loads(row["settings"]),
        commit=row["commit"],
        metrics={key: _column(curve, key) for key in ("step", *DRAWN)},
        summary=figures | ({"exact": row["exact"] == "True"} if row["exact"] else {}),
    )


def _column(rows: Sequence[dict[str, str]], key: str) -> FloatArray:
    return np.array([float(row[key]) if row[key] else np.nan for row in rows], np.float64)


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0] if rows else ["run"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, strict=True))
