"""All runs of a workplace with their curves and figures, read again only where their files have changed."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from prefrl.errors import UsageError
from prefrl.labellers.human_time import human_minutes
from prefrl.runs.folders import FloatArray, Run, read_run
from prefrl.runs.log import CONFIG, METRICS, SUMMARY
from ui.refusals import Refusal
from ui.workplace import Workplace

Stamps = tuple[tuple[int, int, int] | None, ...]


class Shelf:
    """The runs of a workplace as reports read them.

    Args:
        workplace: where they are.
    """

    def __init__(self, workplace: Workplace) -> None:
        self.workplace = workplace
        self._lock = threading.Lock()
        self._read: dict[str, tuple[Stamps, Run]] = {}
        self._minutes: dict[Path, tuple[int, FloatArray]] = {}

    def runs(self) -> tuple[list[Run], list[str]]:
        """The runs that can be read, and a sentence on each of the others."""
        runs, problems = [], []
        with self._lock:
            names = self.workplace.training_names()
            self._read = {name: kept for name, kept in self._read.items() if name in names}
            for name in names:
                try:
                    runs.append(self._run(name))
                except (Refusal, UsageError) as error:
                    problems.append(f"{name} is left out: {error}")
        return runs, problems

    def minutes(self, run: Run) -> FloatArray:
        """`prefrl.labellers.human_time.human_minutes` of a run here; none where its store cannot be read."""
        if run.teacher != "human":
            return np.zeros(0)
        try:
            view = self.workplace.run(self._name(run))
            counts = view.store.counts(view.store_name)
            answers = counts.labels + counts.skips
            kept = self._minutes.get(run.path)
            if kept is None or kept[0] != answers:
                kept = self._minutes[run.path] = (
                    answers,
                    human_minutes(view.store.answer_table(view.store_name)),
                )
            return kept[1]
        except (Refusal, UsageError):
            return np.zeros(0)

    def _name(self, run: Run) -> str | None:
        return next((name for name, (_, kept) in self._read.items() if kept.path == run.path), None)

    def _run(self, name: str) -> Run:
        path = self.workplace.run(name).path
        stamps = tuple(_stamp(path / file) for file in (CONFIG, METRICS, SUMMARY))
        kept = self._read.get(name)
        if kept is None or kept[0] != stamps:
            kept = self._read[name] = stamps, read_run(path)
        return kept[1]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
