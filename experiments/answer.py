"""``prefrl answer RUN``: a person compares clips of a run in the terminal, while it trains.

The pair is drawn side by side into one looping picture, whose path is printed: open it in a browser or an
image viewer. The labeller answers by a key.
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

from experiments.answer_keys import HELP, Act, Key, KeySource, LineKeys, single_keys
from experiments.options import parse_options
from prefrl.errors import UsageError
from prefrl.feedback import Query, Source
from prefrl.files import explained_disk_errors
from prefrl.labellers.labelling import Labelling, query_value
from prefrl.runs.log import SUMMARY

if TYPE_CHECKING:
    from prefrl.control.config import TrainConfig

GAP_PIXELS = 8
SMALL_PIXELS = 200
"""Clips less wide than this are shown at twice their size."""


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
    """Wait for new pairs when none is open, instead of stopping."""
    clips: bool = True
    """Draw the pairs; never done for --answer-as."""
    style: Literal["plain", "pretty"] = "plain"
    """MuJoCo's drawing: plain is several times faster."""
    lease_seconds: float = 600.0
    """Time a pair is kept for you before others may be shown it, in seconds."""
    poll_seconds: float = 1.0
    """Time between two looks for new pairs, in seconds."""

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
    with key_source(config) as keys, FeedbackStore(config.run / "feedback.sqlite", must_exist=True) as store:
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
def key_source(config: AnswerConfig) -> Iterator[KeySource]:
    """The terminal, a file, or nobody for a scripted answerer.

    Raises:
        UsageError: there is neither a terminal nor a file.
    """
    if config.answer_as is not None:
        yield LineKeys(sys.stdin)  # only ever polled: it sleeps
    elif config.answers == "-":
        yield LineKeys(sys.stdin)
    elif config.answers is not None:
        with explained_disk_errors(f"read {config.answers}"):
            lines = Path(config.answers).read_text(encoding="utf-8").splitlines()
        yield LineKeys(lines)
    elif sys.stdin.isatty():
        with single_keys() as keys:
            yield keys
    else:
        raise UsageError("there is no terminal to answer on: run this in one, or give --answers FILE")


class _Client:
    """The loop: show a pair, read a key, store the answer, say so."""

    def __init__(
        self, config: AnswerConfig, settings: TrainConfig, session: Labelling, keys: KeySource
    ) -> None:
        self.config, self.settings, self.session, self.keys = config, settings, session, keys
        self.given = 0
        self._rng = np.random.default_rng()  # which side is which is no part of the run
        self._waiting = False

    def work(self) -> None:
        """Until the labels are complete, the count is reached or the labeller quits."""
        if self.config.answer_as is None:
            print(HELP)
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
        """One pair; whether to go on."""
        self._waiting = False
        by_coin = (0, 1) if self._rng.random() < 0.5 else (1, 0)
        shown = self.session.repeat_order(query) or by_coin
        picture = self._show(query, shown)
        began = time.monotonic()
        try:
            key = self._decide(query, shown)
            while key.act in (Act.HELP, Act.UNKNOWN):
                print(HELP)
                key = self._decide(query, shown)
            if key.act is Act.ANSWER:
                value = query_value(query, key.preference, shown)
                self.session.answer(query, value, shown=shown, seconds=time.monotonic() - began)
                self.given += 1
                print(f"saved: {_words(key.preference)}; {self._progress()}", flush=True)
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
            print("no pair is open")
            return False
        if not self._waiting:
            print(
                f"waiting for new pairs, which the run makes while it trains; {self._progress()}", flush=True
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
        if self.config.answer_as is None:
            return self.keys.read()
        from prefrl.control.segment_files import load_segments

        items = [query.items[position] for position in shown]
        left, right = load_segments(self.config.run / "segments", items).true_reward.sum(1)
        return Key(Act.ANSWER, float(np.sign(left - right) / 2 + 0.5))

    def _show(self, query: Query, shown: tuple[int, ...]) -> Path | None:
        if self.config.answer_as is not None or not self.config.clips:
            return None
        path = self.config.run / "clips" / f"{query.id}.webp"
        write_pair(path, query, shown, self.settings.task, style=self.config.style)
        print(f"compare: {path.resolve()}", flush=True)
        return path

    def _progress(self) -> str:
        counts = self.session.counts()
        skipped = f", {counts.skips} skipped" if counts.skips else ""
        return f"{counts.labels} of {self.settings.labels} labels{skipped}, {counts.open} pairs open"


def write_pair(path: Path, query: Query, shown: tuple[int, ...], task: str, *, style: str) -> None:
    """Draws the two segments of a query beside each other, in the order shown, into one looping picture.

    Raises:
        UsageError: a segment's file is missing, or the disk is full.
        WorldError: this world or this machine cannot draw them.
    """
    from envs.clips import render_clip
    from experiments.render import frames_per_second, write_film
    from prefrl.control.segment_files import load_replay

    segments = path.parent.parent / "segments"
    sides = [
        render_clip(task, load_replay(segments, query.items[position]), style=style) for position in shown
    ]
    gap = np.full((*sides[0].shape[:2], GAP_PIXELS, 3), 255, np.uint8)
    frames = np.concatenate([sides[0], gap, sides[1]], axis=2)
    if sides[0].shape[2] < SMALL_PIXELS:
        frames = frames.repeat(2, axis=1).repeat(2, axis=2)
    with explained_disk_errors(f"make {path.parent}"):
        path.parent.mkdir(exist_ok=True)
    write_film(path, frames, fps=frames_per_second(task))


def _words(preference: float | None) -> str:
    """An answer as the labeller gave it."""
    names = {1.0: "left", 0.75: "slightly left", 0.5: "equal", 0.25: "slightly right", 0.0: "right"}
    return "skipped" if preference is None else names[preference]
