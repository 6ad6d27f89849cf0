"""``prefrl clips FOLDER``: draws the clips of open queries and of watched runs, off everybody's path.

Looks at a run folder, or at every run folder in a folder, again and again; draws what the next labellers
will be shown, oldest query first, at the lowest priority; closes queries whose clips cannot be drawn; deletes
clips that nobody will look at again.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from experiments.diagnostic_drawing import look_into
from experiments.options import parse_options
from prefrl.clip_files import (
    FOLDER,
    WATCHED,
    WISHES,
    forget_damaged,
    is_watched,
    note_path,
    read_note,
    read_wishes,
)
from prefrl.control.run_settings import load_config, run_name
from prefrl.errors import UsageError
from prefrl.feedback import MAX_REMARK, Purpose, Query, Remark, RemarkKind, make_id
from prefrl.runs.log import CONFIG
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import holds_texts

STORE = "feedback.sqlite"
NICE = 15
NEWEST = 2
"""Newest queries of a run whose clips are drawn while somebody looks at it."""
MANY = 100_000
AT_ONCE = 20
"""Clips drawn before the worker looks at the next run."""
WORKER = "clip worker"
"""Who closes queries whose clips cannot be drawn."""


@dataclass(frozen=True)
class ClipsConfig:
    """Draw the clips that labellers will be shown next, at low priority, until stopped."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("runs")
    """A run folder, or a folder of run folders."""
    ahead: int = 40
    """Open queries of each run whose clips are kept ready."""
    keep: int = 4000
    """Files in a run's clips folder; the oldest beyond them are deleted."""
    poll_seconds: float = 0.5
    """Time between two looks, where there is nothing to draw."""
    style: Literal["plain", "pretty"] = "plain"
    """MuJoCo's drawing: plain or pretty."""
    once: bool = False
    """Stop when everything is drawn."""

    def __post_init__(self) -> None:
        if self.ahead < 1 or self.keep < 1 or not self.poll_seconds > 0:
            raise UsageError("--ahead and --keep must be at least 1, --poll-seconds above 0")


def main(args: list[str]) -> int:
    config = parse_options(ClipsConfig, args, command="clips")
    os.nice(NICE)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return work(config, stop)


def work(config: ClipsConfig, stop: threading.Event) -> int:
    """Draws until it is told to stop; returns the exit code 0."""
    tried: set[tuple[Path, str]] = set()  # could not be drawn; the next worker tries once again
    while not stop.is_set():
        drawn = sum(_work_on(run, config, tried, stop) for run in run_folders(config.folder))
        if not drawn:
            if config.once:
                return 0
            stop.wait(config.poll_seconds)
    return 0


def run_folders(folder: Path) -> list[Path]:
    """The folder itself where it is a run's, or else the run folders in it."""
    if (folder / CONFIG).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{CONFIG}"))


def wanted_queries(store: FeedbackStore, run: str, *, ahead: int, overlap: int) -> list[Query]:
    """What labellers will be shown next: practice pairs, then the first open queries."""
    practice = store.open_queries(run, ahead, purposes=[Purpose.PRACTICE])
    return [*practice, *store.open_queries(run, ahead, overlap=overlap, now=time.time())]


def missing_clips(
    run: Path, queries: Iterable[Query], *, tried: Collection[tuple[Path, str]] = ()
) -> list[str]:
    """Items of the queries without a clip, in the order in which they are wanted.

    One that could not be drawn is missing, too, unless just tried: the machine may have been put right.
    """
    items = dict.fromkeys(item for query in queries for item in query.items)
    return [item for item in items if (run, item) not in tried and not _is_drawn(run, item)]


def close_undrawable(store: FeedbackStore, run: Path, queries: Iterable[Query], *, seed: int) -> int:
    """Closes the queries of which a clip can never be drawn, so that others replace them; returns how many.

    While not one clip of the run could be drawn, the fault is hardly theirs, and all stay open.
    """
    if not any((run / FOLDER).glob("*.webp")):
        return 0
    remarks = []
    for query in queries:
        notes = [read_note(run, item) for item in query.items]
        problems = [note.problem for note in notes if note is not None and note.problem and note.final]
        if problems:
            remarks.append(
                Remark(
                    id=make_id(query.run, seed, "close", query.counter),
                    run=query.run,
                    kind=RemarkKind.CLOSE,
                    subject=query.id,
                    labeller=WORKER,
                    content=f"a clip cannot be drawn: {problems[0]}"[:MAX_REMARK],
                )
            )
    return store.add(remarks)


def delete_old_clips(run: Path, keep: int, *, wanted: Iterable[str]) -> int:
    """Deletes the oldest files of the clips folder beyond ``keep``, but none that the wanted items need."""
    needed: set[str] = set()
    for item in wanted:
        note = read_note(run, item)
        needed.add(note_path(run, item).name)
        needed |= {sheet.file for sheet in (note and note.sheet, note and note.network) if sheet}
    files = sorted(_files(run), key=lambda path: path.stat().st_mtime)
    doomed = [path for path in files[: max(0, len(files) - keep)] if path.name not in needed]
    for path in doomed:
        path.unlink(missing_ok=True)
    return len(doomed)


def _files(run: Path) -> list[Path]:
    """Notes and pictures, and what dead processes left half-written."""
    return [path for path in (run / FOLDER).glob("*.*") if path.name not in (WATCHED, WISHES)]


def _is_drawn(run: Path, item: str) -> bool:
    note = read_note(run, item)
    return note is not None and note.sheet is not None


def _work_on(run: Path, config: ClipsConfig, tried: set[tuple[Path, str]], stop: threading.Event) -> int:
    """One look at a run; the number of clips drawn."""
    if not (run / STORE).is_file() or holds_texts(run):
        return 0  # nothing to label, or texts, which need no drawing
    try:
        settings = load_config(run)
        labelled = settings.reward == "learned" and settings.teacher == "human"
        watched = is_watched(run, now=time.time())
        if not (labelled or watched):
            return 0
        with FeedbackStore(run / STORE, must_exist=True) as store:
            name, overlap = run_name(run, store), settings.query.overlap
            queries = wanted_queries(store, name, ahead=config.ahead, overlap=overlap) if labelled else []
            _mend_reported(store, name, run, queries)
            # What the run has asked about last, for who looks at it.
            newest = store.queries(name, after=store.next_counter(name) - 1 - NEWEST) if watched else []
            drawn = _draw(run, [*queries, *newest], settings.task, config, tried, stop)
            close_undrawable(store, run, queries, seed=settings.seed)
            if not drawn and len(_files(run)) > config.keep:
                still_open = store.open_queries(name, MANY, overlap=overlap, now=math.inf)
                items = [item for query in [*queries, *newest, *still_open] for item in query.items]
                delete_old_clips(run, config.keep, wanted=[*items, *read_wishes(run)])
        if not drawn and watched:
            drawn = look_into(run, settings, style=config.style)
    except UsageError as error:
        print(f"{run}: {error}", flush=True)
        return 0
    return drawn


def _mend_reported(store: FeedbackStore, name: str, run: Path, queries: Iterable[Query]) -> None:
    """Forgets damaged pictures of clips that were reported, so that they are drawn again."""
    reported = {remark.subject for remark in store.remarks(name, kind=RemarkKind.FLAG)}
    for query in queries:
        if query.id in reported:
            for item in query.items:
                forget_damaged(run, item)


def _draw(
    run: Path,
    queries: list[Query],
    task: str,
    config: ClipsConfig,
    tried: set[tuple[Path, str]],
    stop: threading.Event,
) -> int:
    """Draws the next clips that are missing; then others wait, and the queue has moved on."""
    missing = missing_clips(run, queries, tried=tried)
    wished = [item for item in read_wishes(run) if not _is_drawn(run, item)]
    missing += [item for item in wished if (run, item) not in tried and item not in missing]
    from experiments.clip_drawing import draw_clip  # after --help: it needs the worlds and torch

    for item in missing[:AT_ONCE]:
        if stop.is_set():
            break
        if draw_clip(run, task, item, style=config.style).problem:
            tried.add((run, item))
    return len(missing)
