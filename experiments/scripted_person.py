"""A scripted person: looks at the pair on the screen of a real browser and presses the oracle's key.

What they see is checked the long way round: the pictures on the screen, from left to right, are looked up
among the clips of the query's items, so an answer that lands under the wrong side or the wrong query is
found out when the store is compared with what was meant.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.browser import PATIENCE, LabelPage
from prefrl.clip_files import read_note
from prefrl.errors import UsageError
from prefrl.store.feedback_store import FeedbackStore
from prefrl.teachers import make_teacher

KEYS = {1.0: "ArrowLeft", 0.5: "ArrowUp", 0.0: "ArrowRight"}
LOCKOUT_SECONDS = 0.16
"""The page ignores keys for so long after a new pair appears."""
POLL_MILLISECONDS = 20


@dataclass(frozen=True)
class Press:
    """One answer of the scripted person."""

    query: str
    value: float
    """Meant, in the query's order of items."""
    seconds: float
    """From the pair's appearance to the key, by this process's clock."""
    latency: float | None
    """Milliseconds from keydown to the next pair's first painted frame; None where no pair was ready."""
    training: bool
    """Whether the agent trained at that moment."""


@dataclass
class Sitting:
    """What came of a person's work."""

    presses: list[Press] = field(default_factory=list)
    seconds: float = 0.0
    """From the first pair to the last answer."""

    @property
    def per_minute(self) -> float:
        """Answers per minute, waits for pairs included."""
        return 60.0 * len(self.presses) / self.seconds if self.seconds else 0.0

    @property
    def latencies(self) -> list[float]:
        """Milliseconds of the presses after which a pair was ready."""
        return [press.latency for press in self.presses if press.latency is not None]


class ScriptedPerson:
    """Answers what a labelling page shows, as the oracle would.

    Args:
        page: on which the run's pairs appear.
        run: the run folder, whose segments hold the true rewards.
        store: of the run.
        per_minute: answers at most.
    """

    def __init__(self, page: LabelPage, run: Path, store: FeedbackStore, *, per_minute: float) -> None:
        self.page, self.run, self.store = page, run, store
        self.pause = 60.0 / per_minute
        self.oracle = make_teacher("oracle", np.random.default_rng(0))
        self.seen = 0
        self.due = 0.0

    def wait_for_pair(self, seconds: float) -> dict[str, Any] | None:
        """What the page says of the next pair that it shows; None if none comes in that time."""
        from playwright.sync_api import TimeoutError as NothingCame

        try:
            self.page.page.wait_for_function(
                f"window.shown.length > {self.seen}", timeout=1000 * seconds, polling=POLL_MILLISECONDS
            )
        except NothingCame:
            return None
        shown: dict[str, Any] = self.page.page.evaluate("window.shown.at(-1)")
        self.seen = self.page.page.evaluate("window.shown.length")
        return shown

    def answer(self, shown: dict[str, Any]) -> tuple[str, float]:
        """Presses the oracle's key, at the pace; returns the query and the value meant, in its order."""
        since = time.monotonic()
        value, key = self.decide(shown)
        self.due = max(self.due + self.pause, since + LOCKOUT_SECONDS)
        time.sleep(max(0.0, self.due - time.monotonic()))
        self.due = max(self.due, time.monotonic() - self.pause)  # who was kept waiting does not catch up
        self.page.press(key)
        return shown["query"], value

    def decide(self, shown: dict[str, Any]) -> tuple[float, str]:
        """The oracle's answer in the query's order of items, and the key that says it of this screen."""
        (query,) = self.store.queries(self.run_name, query_ids=[shown["query"]])
        notes = [read_note(self.run, item) for item in query.items]
        pictures = [note.sheet.file for note in notes if note is not None and note.sheet is not None]
        if sorted(pictures) != sorted(shown["pictures"]):
            raise UsageError(f"the page shows {shown['pictures']} for {query.id}, whose clips are {pictures}")
        from prefrl.control.segment_files import load_segments  # torch, which no help should wait for

        left, right = load_segments(self.run / "segments", list(query.items)).true_reward
        value = float(self.oracle.answer(left[None], right[None])[0])
        swapped = pictures != shown["pictures"]
        return value, KEYS[1.0 - value if swapped else value]

    @property
    def run_name(self) -> str:
        """What the run is called in its store."""
        return self.store.runs()[0]


def sit(
    person: ScriptedPerson,
    pairs: int,
    *,
    trains: Callable[[], bool],
    watch: Callable[[Sitting], bool] = lambda _sitting: False,
) -> Sitting:
    """Answers so many pairs of a run.

    Args:
        person: who answers.
        pairs: how many at most.
        trains: () to whether the agent trains at the moment.
        watch: told of every answer; true ends the sitting.

    Raises:
        UsageError: no pair comes for minutes.
    """
    sitting, started = Sitting(), time.monotonic()
    shown = person.wait_for_pair(PATIENCE / 1000)
    while shown is not None:
        appeared = time.monotonic()
        query, value = person.answer(shown)
        pressed = time.monotonic()
        sitting.seconds = pressed - started
        last = len(sitting.presses) + 1 == pairs
        shown = None if last else person.wait_for_pair(10 * PATIENCE / 1000)
        latency = None if shown is None else shown["latency"]
        sitting.presses.append(Press(query, value, pressed - appeared, latency, trains()))
        if watch(sitting) or last:
            return sitting
    raise UsageError(f"after {len(sitting.presses)} of {pairs} answers no pair came any more")
