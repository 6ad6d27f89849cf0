"""``make readme``: puts the committed results into the README, so that its numbers are those of the data.

The README has a pair of markers for each folder in ``experiments/results`` that holds condensed runs; what
stands between them is made here, as are the figures beside the data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from experiments.report import summarise
from experiments.report_curves import method_styles, task_charts
from experiments.report_data import read_data
from experiments.report_figure import figure
from experiments.report_tables import result_rows
from prefrl.errors import UsageError
from prefrl.files import write_atomically
from prefrl.runs.summary import GroupSummary

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path("experiments/results")
_COLUMNS = ("task", "method", "seeds", "true return", "normalised score", "correlation", "steps/s")


def main() -> None:
    """Rewrites README.md and the figures in place."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    write_atomically(path, fill(text).encode())
    for name in result_names(text):
        for task, drawing in figures(ROOT / RESULTS / name).items():
            write_atomically(ROOT / RESULTS / name / f"{task}.svg", drawing.encode())


def result_names(text: str) -> list[str]:
    """The folders of results that a text has markers for."""
    return re.findall(r"<!-- results: ([\w-]+) -->", text)


def fill(text: str) -> str:
    """The text with the present results between its markers.

    Raises UsageError for a marker that is not closed or names no results.
    """
    for name in result_names(text):
        begin, end = f"<!-- results: {name} -->\n", f"<!-- end of results: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
            raise UsageError(
                f"the text needs one pair of markers for the results {name!r}: {begin!r} and {end!r}"
            )
        head, rest = text.split(begin)
        text = head + begin + section(ROOT / RESULTS / name) + end + rest.split(end)[1]
    return text


def section(folder: Path) -> str:
    """Table and provenance of the condensed runs in a folder, as Markdown."""
    summaries, notes = summarise(read_data(folder))
    assert not notes, notes
    header, rows = result_rows(summaries)
    places = [header.index(name) for name in _COLUMNS]
    lines = [_markdown(_COLUMNS), _markdown(["---"] * 2 + ["---:"] * (len(_COLUMNS) - 2))]
    lines += [_markdown([row[place] for place in places]) for row in rows]
    return "\n".join([*lines, "", _provenance(summaries), ""])


def figures(folder: Path) -> dict[str, str]:
    """The curves of the true return of each task in a folder of condensed runs, as SVG files."""
    summaries, _ = summarise(read_data(folder))
    styles = method_styles([summary.group for summary in summaries])
    drawn = {}
    for task, rows in groupby(summaries, key=lambda summary: summary.group.task):
        groups = [row.group for row in rows]
        charts = task_charts(groups, styles, seed=0, confidence=0.95, resamples=2000)
        drawn[task] = figure(charts[0], title=f"{task}: {charts[0].title.lower()}")
    return drawn


def _provenance(summaries: Sequence[GroupSummary]) -> str:
    runs = [run for summary in summaries for run in summary.group.runs]
    seeds = sorted({run.seed for run in runs})
    steps = sorted({int(run.steps_planned) for run in runs})
    commits = dict.fromkeys(run.commit[:10] for run in runs)
    return (
        f"{_counted('run', len(runs))} of {' or '.join(f'{each:,}' for each in steps)} steps, "
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}, commit {', '.join(commits)}."
        f"{' Brackets are 95% bootstrap intervals over seeds.' if len(seeds) > 1 else ''}"
    )


def _counted(what: str, count: int) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
