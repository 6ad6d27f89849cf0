"""``prefrl bench-app``: how quick the browser app is, in a real browser on this machine.

``label``: from a key's press to the next pair's first painted frame, while the agent trains beside it.
``pages``: every page in the app's navigation, on an empty, a small, a large (50,000 answers) and a damaged
folder of runs, from the address to a page at rest. Results go to the same file as those of ``prefrl bench``.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

from experiments.bench import RESULTS
from experiments.bench_pages import Visit, visit_pages
from experiments.bench_rows import append, describe, is_busy, stamped, this_machine
from experiments.browser import LabelPage, OpenBrowser, open_browser
from experiments.live_run import LiveRun, endless_options
from experiments.options import parse_options
from experiments.person_figures import figures_of
from experiments.report_tables import text_table
from experiments.scripted_person import ScriptedPerson, Sitting, sit
from prefrl.errors import UsageError
from prefrl.store.feedback_store import FeedbackStore

Name = Literal["label", "pages"]
Size = Literal["empty", "small", "large", "damaged"]
RUN = "live"
MOST_MILLISECONDS = 50.0
MOST_SECONDS = 2.0


@dataclass(frozen=True)
class BenchAppConfig:
    """Measure the app in a real browser: key to next pair beside a training, every page on every store."""

    only: tuple[Name, ...] = ()
    """Benchmarks to run; by default both."""
    task: str = "half-cheetah"
    """What trains beside the labelling."""
    answers: int = 100
    """Presses that are timed, after the training has begun."""
    per_minute: float = 60.0
    """Presses per minute at most."""
    train_options: str = ""
    """More options of `prefrl train` for that run, such as --train-options="--num-threads 1"."""
    visits: int = 3
    """Times each page is opened; the median counts."""
    sizes: tuple[Size, ...] = get_args(Size)
    """Folders of runs that the pages are opened on."""
    results: Path = RESULTS
    """The file that gets a line with the figures."""
    record: bool = True
    """Append that line."""

    def __post_init__(self) -> None:
        if self.answers < 2 or self.visits < 1 or not self.per_minute > 0:
            raise UsageError("--answers must be at least 2, --visits at least 1, --per-minute above 0")


def main(args: list[str]) -> int:
    return run_bench_app(parse_options(BenchAppConfig, args, command="bench-app"))


def run_bench_app(config: BenchAppConfig, *, browser: OpenBrowser = open_browser) -> int:
    """Measures, prints, keeps the line; returns 1 where a limit is missed or a page is broken, else 0.

    Raises:
        UsageError: no browser, a run or a server that does not begin.
    """
    machine = this_machine()
    print(describe(machine))
    if is_busy(machine):
        print("warning: other processes use this machine; do not trust these timings", file=sys.stderr)
    wanted = config.only or get_args(Name)
    with tempfile.TemporaryDirectory() as aside, browser() as chromium:
        benches = [BENCHES[name](config, Path(aside), chromium) for name in wanted]
    for bench in benches:
        print(f"\n{bench['words']}")
    if config.record:
        kept = [{name: value for name, value in bench.items() if name != "words"} for bench in benches]
        append(stamped(kept, machine), config.results)
        print(f"appended to {config.results}")
    return 0 if all(bench["passed"] for bench in benches) else 1


def bench_label(config: BenchAppConfig, folder: Path, chromium: Any) -> dict[str, Any]:
    """The latency of presses while a run trains that never waits for labels."""
    labels = 2 * config.answers + 20
    options = [*endless_options(labels), *shlex.split(config.train_options)]
    with LiveRun(folder / RUN, config.task, options) as live:
        live.wait_for_clips()
        with FeedbackStore(folder / RUN / "feedback.sqlite") as store:
            page = LabelPage(chromium.new_context(), live.server, RUN, "script")
            person = ScriptedPerson(page, folder / RUN, store, per_minute=config.per_minute)
            memory: list[float] = []

            def enough(sitting: Sitting) -> bool:
                memory.append(live.server.memory)
                return sum(press.training for press in sitting.presses) >= config.answers

            sitting = sit(person, labels, trains=lambda: live.trains, watch=enough)
            page.page.close()
    figures = figures_of(sitting, memory)
    latency = figures["latency_beside_training_ms"]
    passed = latency["count"] > 0 and latency["median"] <= MOST_MILLISECONDS
    said = (
        f"key to next pair beside training: median {latency.get('median')} ms, 9 of 10 within "
        f"{latency.get('ninth_decile')} ms, {latency['count']} presses (wanted: {MOST_MILLISECONDS:g} ms)\n"
        f"{figures['per_minute']} answers per minute, server {figures['server_mib']['highest']} MiB at most"
    )
    settings = {"task": config.task, "answers": config.answers, "per_minute": config.per_minute}
    return _bench("label", settings, figures, passed=passed, words=said)


def bench_pages(config: BenchAppConfig, folder: Path, chromium: Any) -> dict[str, Any]:
    """The time of every page on every folder; a page that shows an exception or nothing is broken."""
    visits = [
        visit
        for size in config.sizes
        for visit in visit_pages(chromium, folder / size, size, times=config.visits, say=_say)
    ]
    slow = [visit for visit in visits if visit.median > MOST_SECONDS]
    broken = [visit for visit in visits if visit.problem]
    figures = {
        f"{visit.size} {visit.page}": {"seconds": [round(one, 2) for one in visit.seconds]}
        | ({"problem": visit.problem} if visit.problem else {})
        for visit in visits
    }
    settings = {"sizes": list(config.sizes), "visits": config.visits}
    passed = not slow and not broken
    return _bench("pages", settings, figures, passed=passed, words=_table(visits))


BENCHES: Mapping[Name, Callable[[BenchAppConfig, Path, Any], dict[str, Any]]] = {
    "label": bench_label,
    "pages": bench_pages,
}


def _bench(
    name: str, settings: dict[str, Any], figures: dict[str, Any], *, passed: bool, words: str
) -> dict[str, Any]:
    """What is kept of a benchmark, in the form that the lines of ``prefrl bench`` have; and for people."""
    kept = {"bench": f"app {name}", "settings": settings, "contenders": {"PrefRL": figures}, "ratios": {}}
    return kept | {"missing": {}, "passed": passed, "words": words}


def _table(visits: Sequence[Visit]) -> str:
    pages = list(dict.fromkeys(visit.page for visit in visits))
    sizes = list(dict.fromkeys(visit.size for visit in visits))
    cells = {(visit.page, visit.size): _cell(visit) for visit in visits}
    rows = [[page, *(cells.get((page, size), "") for size in sizes)] for page in pages]
    problems = [f"{visit.size} {visit.page}: {visit.problem}" for visit in visits if visit.problem]
    return "\n".join([text_table(["page (s)", *sizes], rows, words=1), *problems])


def _cell(visit: Visit) -> str:
    return f"{median(visit.seconds):.2f}" + (" !" if visit.problem or visit.median > MOST_SECONDS else "")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
