"""``prefrl answer RUN``: a person judges clips of a run in the terminal, while it trains.

The clips of a query are drawn side by side into one looping picture, whose path is printed: open it in a
browser or an image viewer. The labeller answers by a key, or ranks by some.
"""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import tyro

from experiments.answer_drawing import write_clips
from experiments.answer_keys import Act, Key, KeySource, LineKeys, Meaning, meaning_of, single_keys
from experiments.answer_reading import help_on, read_answer, said
from experiments.options import parse_options
from prefrl.errors import UsageError
from prefrl.feedback import Kind, Purpose, Query, Source, Value
from prefrl.files import explained_disk_errors
from prefrl.labellers.labelling import Labelling
from prefrl.labellers.screen import query_value, screen_value
from prefrl.runs.log import SUMMARY

if TYPE_CHECKING:
    from prefrl.control.config import TrainConfig


@dataclass(frozen=True)
class AnswerConfig:
    """Answer the open queries of a run that was started with --teacher human."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    labeller: str | None = None
    """Your name in the records, by default the user's; two people at once need two names."""
    answers: str | None = None
    """Read keys from this file, one per line, instead of from the terminal; - is standard input."""
    answer_as: Literal["oracle"] | None = None
    """Answer by true reward instead of asking anybody; for tests and demonstrations."""
    count: int | None = None
    """Stop after so many answers; by default when the run's labels are complete."""
    wait: bool = True
    """Wait for new queries when none is open, instead of stopping."""
    clips: bool = True
    """Draw the clips; never done for --answer-as."""
    style: Literal["plain", "pretty"] = "plain"
    """MuJoCo's drawing: plain is several times faster."""
    lease_seconds: float = 600.0
    """Time a query is kept for you before others may be shown it, in seconds."""
    poll_seconds: float = 1.0
    """Time between two looks for new queries, in seconds."""

    def __post_init__(self) -> None:
        for name in ("lease_seconds", "poll_seconds"):
            if not getattr(self, name) > 0:
                raise UsageError(f"--{name.replace('_', '-')} must be above 0, not {getattr(self, name)}")
        if self.answers is not None and self.answer_as is not None:
            raise UsageError("--answers and --answer-as exclude each other: leave one out")


def main(args: list[str]) -> int:
    return run_answer(parse_options(AnswerConfig, args, command="answer"))


def run_answer(config: AnswerConfig) -> int:
    """Asks until the labels are complete or the labeller quits; returns the exit code 0.

    Raises:
        UsageError: no such run, a run that nobody is to answer, no terminal to ask on, a full disk.
        WorldError: clips that cannot be drawn here.
    """
    from prefrl.control.run_settings import load_config, run_name
    from prefrl.store.feedback_store import FeedbackStore

    settings = load_config(config.run)
    if settings.reward != "learned" or settings.teacher != "human":
        who = settings.teacher if settings.reward == "learned" else f"the {settings.reward} reward"
        raise UsageError(f"{config.run} learns from {who}: start one with --teacher human to answer it")
    meaning = meaning_of(Kind(settings.query.kind), settings.query.clips_per_query)
    with (
        key_source(config, meaning) as keys,
        FeedbackStore(config.run / "feedback.sqlite", must_exist=True) as store,
    ):
        oracle = config.answer_as is not None
        session = Labelling(
            store,
            run_name(config.run, store),
            labeller=config.labeller or ("oracle" if oracle else getpass.getuser()),
            source=Source.ORACLE if oracle else Source.PERSON,
            seed=settings.seed,
            lease_seconds=config.lease_seconds,
            overlap=settings.query.overlap,
        )
        _Client(config, settings, session, keys).work()
    return 0


@contextmanager
def key_source(config: AnswerConfig, meaning: Meaning) -> Iterator[KeySource]:
    """The terminal, a file, or nobody for a scripted answerer.

    Raises:
        UsageError: there is neither a terminal nor a file.
    """
    if config.answer_as is not None:
        yield LineKeys(sys.stdin, meaning)  # only ever polled: it sleeps
    elif config.answers == "-":
        yield LineKeys(sys.stdin, meaning)
    elif config.answers is not None:
        with explained_disk_errors(f"read {config.answers}"):
            lines = Path(config.answers).read_text(encoding="utf-8").splitlines()
        yield LineKeys(lines, meaning)
    elif sys.stdin.isatty():
        with single_keys(meaning) as keys:
            yield keys
    else:
        raise UsageError("there is no terminal to answer on: run this in one, or give --answers FILE")


class _Client:
    """The loop: show a query's clips, read keys, store the answer, say so."""

    def __init__(
        self, config: AnswerConfig, settings: TrainConfig, session: Labelling, keys: KeySource
    ) -> None:
        self.config, self.settings, self.session, self.keys = config, settings, session, keys
        self.kind = Kind(settings.query.kind)
        self.given = 0
        self._rng = np.random.default_rng()  # which side is which is no part of the run
        self._waiting = False

    def work(self) -> None:
        """Until the labels are complete, the count is reached or the labeller quits."""
        if self.config.answer_as is None:
            print(help_on(self.kind))
        while self.config.count is None or self.given < self.config.count:
            if self.session.counts().labels >= self.settings.labels:
                print(f"complete: {self._progress()}")
                return
            taken = self.session.take(1)
            stays = self._ask(taken[0]) if taken else self._wait()
            if not stays:
                break
        print(f"stopped: {self.given} answers from you; {self._progress()}")

    def _ask(self, query: Query) -> bool:
        """One query; whether to go on."""
        self._waiting = False
        by_chance = tuple(self._rng.permutation(len(query.items)).tolist())
        shown = self.session.repeat_order(query) or by_chance
        picture = self._show(query, shown)
        began = time.monotonic()
        try:
            key = self._decide(query, shown)
            if key.act is Act.ANSWER:
                value = query_value(query, key.value, shown)
                self.session.answer(query, value, shown=shown, seconds=time.monotonic() - began)
                self.given += 1
                print(f"saved: {said(self.kind, key.value)}; {self._progress()}", flush=True)
            return self._go_on(key)
        finally:
            self.session.release([query])
            if picture is not None:
                picture.unlink(missing_ok=True)

    def _wait(self) -> bool:
        """Nothing is open: say so once, look again a little later; whether to go on."""
        if (self.config.run / SUMMARY).exists():
            print("the run has ended")
            return False
        if not self.config.wait:
            print("nothing is open")
            return False
        if not self._waiting:
            print(
                f"waiting for new clips, which the run makes while it trains; {self._progress()}", flush=True
            )
            self._waiting = True
        key = self.keys.poll(self.config.poll_seconds)
        return key is None or self._go_on(key)

    def _go_on(self, key: Key) -> bool:
        if key.act is Act.UNDO:
            query = self.session.undo()
            self.given -= query is not None
            print("nothing to undo" if query is None else f"taken back: your last answer; {self._progress()}")
        return key.act is not Act.QUIT

    def _decide(self, query: Query, shown: tuple[int, ...]) -> Key:
        """What is said of a query, or another wish; the clips of a ranking one after the other."""
        if self.config.answer_as is not None:
            return Key(Act.ANSWER, screen_value(query, self._oracle(query), shown))
        return read_answer(self.keys, self.kind, len(shown))

    def _oracle(self, query: Query) -> Value:
        """By true return; single clips measured by all that the run has asked about."""
        from prefrl.control.segment_files import load_segments
        from prefrl.teacher_answers import teacher_values
        from prefrl.teachers import make_teacher

        folder, candidates = self.config.run / "segments", None
        if len(query.items) == 1:
            asked = self.session.store.queries(self.session.run, purposes=[Purpose.TRAINING])
            candidates = load_segments(folder, [one.items[0] for one in asked]).true_reward
        rewards = load_segments(folder, list(query.items)).true_reward[None]
        return teacher_values(make_teacher("oracle", self._rng), query.kind, rewards, candidates)[0]

    def _show(self, query: Query, shown: tuple[int, ...]) -> Path | None:
        if self.config.answer_as is not None or not self.config.clips:
            return None
        path = self.config.run / "clips" / f"{query.id}.webp"
        write_clips(path, query, shown, self.settings.task, style=self.config.style)
        verb = "look at" if len(shown) == 1 else "compare"
        print(f"{verb}: {path.resolve()}", flush=True)
        return path

    def _progress(self) -> str:
        counts = self.session.counts()
        skipped = f", {counts.skips} skipped" if counts.skips else ""
        return f"{counts.labels} of {self.settings.labels} labels{skipped}, {counts.open} open"
