"""``prefrl soak``: does the memory of server and browser stay flat while somebody labels for an hour?

A scripted person labels a live run in one tab, and another tab watches it; memory is noted every few seconds.
The first quarter warms up. Flat means that the last quarter's median lies within a tenth (or a few MiB, where
that is more) of the second's.
"""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from experiments.bench_pages import WatchedPage, page_addresses
from experiments.bench_rows import this_machine
from experiments.browser import LabelPage, OpenBrowser, open_browser, resident_memory
from experiments.live_run import LiveRun, endless_options
from experiments.options import parse_options
from experiments.scripted_person import ScriptedPerson, Sitting, sit
from prefrl.errors import UsageError
from prefrl.files import write_atomically
from prefrl.store.feedback_store import FeedbackStore

RUN = "soak"
TOLERATED_SHARE = 0.1
TOLERATED_MIB = 8.0
MIB = 2**20


@dataclass(frozen=True)
class SoakConfig:
    """Label and watch a live run for long; see whether the memory of server and browser stays flat."""

    minutes: float = 60.0
    """How long."""
    task: str = "half-cheetah"
    """What trains meanwhile."""
    per_minute: float = 20.0
    """Answers per minute at most."""
    watched: str = ""
    """Name of the page in the second tab; by default the last of the navigation that is not Label."""
    every_seconds: float = 10.0
    """Time between two looks at the memory."""
    train_options: str = ""
    """More options of `prefrl train`, such as --train-options="--num-threads 1"."""
    out: Path | None = None
    """JSON file for the figures; none by default."""

    def __post_init__(self) -> None:
        if not (self.minutes > 0 and self.per_minute > 0 and self.every_seconds > 0):
            raise UsageError("--minutes, --per-minute and --every-seconds must be above 0")


@dataclass(frozen=True)
class Memory:
    """What is in use at a moment, in MiB."""

    minute: float
    server: float
    """Resident memory of the app's server."""
    tabs: float
    """Resident memory of the browser's processes that hold pages, pictures included."""
    scripts: float
    """What the scripts of the labelling tab hold, after a collection of garbage."""


MEASURED = tuple(field.name for field in fields(Memory) if field.name != "minute")


def main(args: list[str]) -> int:
    return run_soak(parse_options(SoakConfig, args, command="soak"))


def run_soak(config: SoakConfig, *, browser: OpenBrowser = open_browser) -> int:
    """Labels and watches, prints the memory; returns 1 where it grows or a page reports an error, else 0.

    Raises:
        UsageError: no browser, no such page, a run that does not begin.
    """
    with tempfile.TemporaryDirectory() as aside, browser() as chromium:
        sitting, samples, problems = label_and_watch(config, Path(aside), chromium)
    memory, minutes, answers = growth(samples), round(samples[-1].minute, 1), len(sitting.presses)
    for name, row in memory.items():
        figures = ", ".join(f"{when} {row[when]:.0f}" for when in ("second", "last", "highest"))
        print(f"{name}: {'flat' if row['flat'] else 'grows'} (quarters, MiB: {figures})")
    print(f"{answers} answers in {minutes} minutes; problems: {'; '.join(problems) or 'none'}")
    if config.out is not None:
        result = {"minutes": minutes, "answers": answers, "problems": problems, "machine": this_machine()}
        result |= {"memory_mib": memory, "samples": [asdict(sample) for sample in samples]}
        write_atomically(config.out, (json.dumps(result) + "\n").encode())
    return 0 if not problems and all(row["flat"] for row in memory.values()) else 1


def label_and_watch(
    config: SoakConfig, folder: Path, chromium: Any
) -> tuple[Sitting, list[Memory], list[str]]:
    """The sitting, the memory in the course of it, and what the pages complained of."""
    labels = max(100, round(2 * config.minutes * config.per_minute))
    options = [*endless_options(labels), *shlex.split(config.train_options)]
    with LiveRun(folder / RUN, config.task, options) as live:
        live.wait_for_clips()
        context = chromium.new_context()
        with FeedbackStore(folder / RUN / "feedback.sqlite") as store:
            watched = WatchedPage(context)
            watched.open(_address_of(config.watched, page_addresses(context, live.server)))
            page = LabelPage(context, live.server, RUN, "script")
            person = ScriptedPerson(page, folder / RUN, store, per_minute=config.per_minute)
            meter = Meter(chromium, page, live.server)

            def over(_sitting: Sitting) -> bool:
                return meter.look(every=config.every_seconds) >= config.minutes

            sitting = sit(person, labels, trains=lambda: live.trains, watch=over)
            meter.look(every=0.0)
        context.close()
    return sitting, meter.samples, [*page.problems, *watched.errors]


class Meter:
    """Notes the memory of a server and of the browser's pages."""

    def __init__(self, chromium: Any, page: LabelPage, server: Any) -> None:
        self.server, self.samples = server, list[Memory]()
        self._started = time.monotonic()
        self._processes = chromium.new_browser_cdp_session()
        self._tab = page.page.context.new_cdp_session(page.page)
        self._tab.send("Performance.enable")

    def look(self, *, every: float) -> float:
        """Takes a sample where the last is so many seconds old; returns the minutes since the start."""
        minute = (time.monotonic() - self._started) / 60
        if self.samples and 60 * (minute - self.samples[-1].minute) < every:
            return minute
        self._tab.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in self._tab.send("Performance.getMetrics")["metrics"]}
        processes = self._processes.send("SystemInfo.getProcessInfo")["processInfo"]
        tabs = sum(resident_memory(one["id"]) for one in processes if one["type"] == "renderer")
        scripts = metrics["JSHeapUsedSize"] / MIB
        self.samples.append(Memory(round(minute, 2), self.server.memory, tabs, scripts))
        return minute


def growth(samples: Sequence[Memory]) -> dict[str, dict[str, Any]]:
    """The medians of the second and the last quarter of the samples, the largest, and whether it is flat."""
    if len(samples) < 4:
        raise UsageError(f"{len(samples)} samples say nothing: soak for longer, or look more often")
    second, last = (np.array_split(np.arange(len(samples)), 4)[quarter] for quarter in (1, 3))
    found = {}
    for name in MEASURED:
        values = [float(getattr(sample, name)) for sample in samples]
        before, after = (median(values[place] for place in places) for places in (second, last))
        flat = after - before <= max(TOLERATED_SHARE * before, TOLERATED_MIB)
        found[name] = {"second": before, "last": after, "highest": max(values), "flat": flat}
    return found


def _address_of(name: str, pages: list[tuple[str, str]]) -> str:
    known = {page: address for page, address in pages if page != "Label"}
    if name and name not in known:
        raise UsageError(f"there is no page {name!r}: choose from {', '.join(known)}")
    return known[name] if name else list(known.values())[-1]
