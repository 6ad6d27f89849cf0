"""The tables of a report, for the page and for the terminal."""

from collections.abc import Sequence
from html import escape

import numpy as np

from experiments.report_marks import format_interval, format_number
from prefrl.runs.summary import GroupSummary

# Places in the header of `result_rows`: what was reached, what it cost; each begins with task and method.
RESULT_COLUMNS = ((0, 1, 2, 3, 4, 5, 6), (0, 1, 7, 8, 9, 10, 11, 12, 13))


def result_rows(summaries: Sequence[GroupSummary]) -> tuple[list[str], list[list[str]]]:
    """The table of results as text: a header and one row per group."""
    header = ["task", "method", "seeds", "true return", "untrained", "normalised score", "correlation"]
    header += ["labels", "skips", "steps", "steps/s", "wall time", "exact", "commit"]
    rows = []
    for each in summaries:
        total = len(each.group.runs)
        row = [each.group.task, each.group.label]
        row += [str(total) if each.finished == total else f"{each.finished} of {total}"]
        row += [format_interval(each.true_return), format_number(each.untrained_return)]
        row += [format_interval(each.score, 2), format_number(each.reward_correlation, 2)]
        counts = (each.labels, each.skips, each.steps, each.steps_per_second)
        row += [format_number(count, 0) for count in counts]
        commits = ", ".join(commit[:10] for commit in each.commits)
        row += [format_duration(each.wall_seconds), each.exact or "–", commits]
        rows.append(row)
    return header, rows


def format_duration(seconds: float) -> str:
    """Hours and minutes, minutes and seconds, or seconds."""
    if not np.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, words: int = 1) -> str:
    """A table of escaped text; the first `words` columns are words and stand left, the others are numbers."""
    heads = "".join(f'<th scope="col"{_side(i, words)}>{escape(cell)}</th>' for i, cell in enumerate(header))
    lines = []
    for row in rows:
        cells = [f"<td{_side(i, words)}>{escape(cell)}</td>" for i, cell in enumerate(row) if i]
        lines.append(f'<tr><th scope="row">{escape(row[0])}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _side(column: int, words: int) -> str:
    return "" if column < words else ' class="number"'


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """Columns in plain text; the first `words` stand left, the others right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    padded = [
        "  ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([padded[0], "  ".join("-" * width for width in widths), *padded[1:]])
