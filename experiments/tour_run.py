"""A run to be photographed: it trains, and three scripted labellers answer it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from experiments.live_run import LiveRun, endless_options
from prefrl.clip_files import read_note
from prefrl.errors import UsageError
from prefrl.feedback import Query, Source
from prefrl.labellers.labelling import Labelling
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teachers import make_teacher

RUN = "live"
LABELS = 600
OVERLAP = 2
CHECKS = ("--query.overlap", str(OVERLAP), "--query.gold-fraction", "0.1", "--query.repeat-fraction", "0.1")
PEOPLE = {"ada": (0.02, 1.8), "bob": (0.12, 2.6), "eve": (0.30, 1.1)}
"""Labellers: the share of their answers that is a coin's, and their median seconds."""
AT_ONCE = 4
SECONDS_TO_TRAIN = 900.0


@contextmanager
def tour_run(folder: Path, task: str, *, answers: int) -> Iterator[LiveRun]:
    """A live run in a folder of runs, answered so often; the run is deleted by whoever made the folder.

    Raises:
        UsageError: there is such a run already; it does not begin, or never trains.
    """
    if (folder / RUN).exists():
        raise UsageError(f"{folder / RUN} is in the way of the run that is shown live: move it away")
    options = [*endless_options(LABELS), *CHECKS, "--num-threads", "1"]
    with LiveRun(folder / RUN, task, options) as live:
        live.wait_for_clips()
        crowd = Crowd(folder / RUN)
        until = time.monotonic() + SECONDS_TO_TRAIN
        while crowd.answers < answers or not live.trains:
            if time.monotonic() > until:
                raise UsageError(f"the run does not train after {crowd.answers} answers: see {live.output}")
            if not crowd.answer():
                time.sleep(0.5)
        yield live


class Crowd:
    """Three people who answer what is drawn, each in their own way.

    Args:
        run: the run folder, whose segments hold the true rewards.
    """

    def __init__(self, run: Path) -> None:
        self.run, self.answers = run, 0
        self._rng = np.random.default_rng(0)
        self._oracle = make_teacher("oracle", self._rng)

    def answer(self) -> int:
        """Everybody answers a few pairs; returns how many answers that were."""
        given = 0
        with FeedbackStore(self.run / "feedback.sqlite") as store:
            for name, (coin, seconds) in PEOPLE.items():
                person = Labelling(
                    store, self.run.name, labeller=name, source=Source.SCRIPTED, seed=0, overlap=OVERLAP
                )
                for query in person.take(AT_ONCE, usable=self._is_drawn):
                    order = person.repeat_order(query) or ((0, 1), (1, 0))[int(self._rng.integers(2))]
                    took = float(self._rng.lognormal(np.log(seconds), 0.4))
                    person.answer(query, self._say(query, coin), shown=order, seconds=took)
                    given += 1
        self.answers += given
        return given

    def _is_drawn(self, query: Query) -> bool:
        notes = [read_note(self.run, item) for item in query.items]
        return all(note is not None and note.sheet is not None for note in notes)

    def _say(self, query: Query, coin: float) -> float | None:
        from prefrl.control.segment_files import load_segments  # torch, which no help should wait for

        if self._rng.random() < coin:
            return (1.0, 0.0, 0.5, None)[int(self._rng.integers(4))]
        left, right = load_segments(self.run / "segments", list(query.items)).true_reward
        return float(self._oracle.answer(left[None], right[None])[0])
