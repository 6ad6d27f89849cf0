"""`prefrl report`: run folders in, one table on the terminal and one HTML file out."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro

from experiments.options import parse_options
from experiments.report_data import read_runs, write_data
from experiments.report_page import build_page
from experiments.report_tables import result_rows, text_table
from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors, write_atomically
from prefrl.runs.folders import Run
from prefrl.runs.groups import group_runs
from prefrl.runs.summary import GroupSummary, summarise_groups

_ON_THE_TERMINAL = (
    "task",
    "method",
    "seeds",
    "true return",
    "untrained",
    "normalised score",
    "correlation",
    "steps/s",
    "wall time",
)


@dataclass(frozen=True)
class ReportConfig:
    """Compare runs: curves, table and clips in one HTML file."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders, folders that hold run folders, or folders of condensed data."""
    out: Path = Path("report.html")
    """The file to write; an earlier one is replaced."""
    data: Path | None = None
    """Also condense the runs to two tables (CSV) in this folder, from which a report can be made again."""
    title: str = "Learning from preferences"
    """Heading of the page."""
    confidence: float = 0.95
    """Confidence of every interval, between 0 and 1."""
    resamples: int = 2000
    """Bootstrap resamples behind every interval; more only steadies its last digit."""
    seed: int = 0
    """Seed of the bootstrap: the same runs and seed give the same figures."""
    clip_megabytes: float = 4.0
    """Largest clip that is put into the page, in megabytes; larger ones are named in the notes."""

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise UsageError(f"--confidence must lie between 0 and 1, not {self.confidence:g}; 0.95 is usual")
        if self.resamples < 1:
            raise UsageError(f"--resamples must be at least 1, not {self.resamples}; 2000 is usual")


def main(args: list[str]) -> int:
    return run_report(parse_options(ReportConfig, args, command="report"))


def run_report(config: ReportConfig, *, now: datetime | None = None) -> int:
    """Prints the table, writes the page, says where it is; returns the exit code 0.

    Raises UsageError for a folder that is no run, a broken file in one, or a page that cannot be written.
    """
    runs = read_runs(config.runs)
    summaries, notes = summarise(
        runs, confidence=config.confidence, resamples=config.resamples, seed=config.seed
    )
    if config.data is not None:
        write_data(config.data, runs)
    page = build_page(
        summaries,
        notes,
        title=config.title,
        command=_command(config),
        generated=now or datetime.now(),
        confidence=config.confidence,
        resamples=config.resamples,
        seed=config.seed,
        clip_megabytes=config.clip_megabytes,
    )
    with explained_disk_errors(f"make the folder {config.out.parent}"):
        config.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(config.out, page.encode())
    print("\n".join([format_table(summaries), *notes]))
    print(f"report: {config.out.resolve()}")
    return 0


def summarise(
    runs: Sequence[Run], *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[list[GroupSummary], list[str]]:
    """The runs grouped and in numbers, and notes on what was left out."""
    groups, notes = group_runs(runs)
    return summarise_groups(groups, confidence=confidence, resamples=resamples, seed=seed), notes


def format_table(summaries: Sequence[GroupSummary]) -> str:
    """The results as plain text, one line per group, for a terminal; why a score is missing stands below."""
    header, rows = result_rows(summaries)
    columns = [header.index(name) for name in _ON_THE_TERMINAL]
    table = text_table([header[i] for i in columns], [[row[i] for i in columns] for row in rows], words=2)
    missing = [
        f"no normalised score for {each.group.task}, {each.group.label}: {each.score_note}"
        for each in summaries
        if each.score is None and each.score_note
    ]
    return "\n".join([table, *missing])


def _command(config: ReportConfig) -> str:
    words = ["prefrl", "report", *map(str, config.runs), "--out", str(config.out)]
    defaults = ReportConfig(runs=())
    for name in ("title", "confidence", "resamples", "seed", "clip_megabytes"):
        if getattr(config, name) != getattr(defaults, name):
            words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    return shlex.join(words)
