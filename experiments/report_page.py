"""The report as one HTML file that needs nothing else: no script, no network, no second file.

Every word that comes from a file is escaped where it enters the page, and the page's own policy forbids
scripts and everything from elsewhere.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from itertools import groupby

from experiments.report_charts import Chart, interval_chart, line_chart
from experiments.report_clips import clip_figure, read_clips
from experiments.report_curves import Styles, chart_rows, method_styles, task_charts
from experiments.report_marks import format_interval, format_number, swatch
from experiments.report_style import STYLE
from experiments.report_tables import RESULT_COLUMNS, html_table, result_rows
from prefrl.runs.groups import Group
from prefrl.runs.summary import GroupSummary


def build_page(
    summaries: Sequence[GroupSummary],
    notes: Sequence[str],
    *,
    title: str,
    command: str,
    generated: datetime,
    confidence: float,
    resamples: int,
    seed: int,
    clip_megabytes: float,
) -> str:
    """The whole page. `notes` are told to the reader, `command` is what makes the page again."""
    styles = method_styles([summary.group for summary in summaries])
    tasks, remarks = [], list(notes)
    for number, (task, rows) in enumerate(groupby(summaries, key=lambda summary: summary.group.task)):
        groups = [summary.group for summary in rows]
        charts = task_charts(groups, styles, seed=seed, confidence=confidence, resamples=resamples)
        clips, clip_notes = _clips(groups, clip_megabytes)
        remarks += clip_notes
        tasks.append(_task(task, groups, charts, styles, number, clips))
    remarks += [
        f"{_name(each)}: no normalised score, {each.score_note}" for each in summaries if _lacks_score(each)
    ]
    remarks += [f"{_name(each)}: {_unfinished(each)}" for each in summaries if _unfinished(each)]
    remarks += [f"{_name(s)}: normalised {s.score_note}" for s in summaries if s.score and s.score_note]
    body = [_head(summaries, title, confidence, generated), _scores(summaries, styles, confidence)]
    body += [
        _results(summaries, confidence),
        _remarks(remarks),
        *tasks,
        _runs(summaries),
        _footer(command, resamples),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _name(summary: GroupSummary) -> str:
    return f"{summary.group.task}, {summary.group.label}"


def _unfinished(summary: GroupSummary) -> str:
    total, waiting = len(summary.group.runs), sum(not run.finished for run in summary.group.runs)
    if not waiting:
        return ""
    return f"{waiting} of {total} seeds not finished; the mean curve ends where the shortest of them does"


def _lacks_score(summary: GroupSummary) -> bool:
    return summary.score is None and bool(summary.score_note)


def _head(summaries: Sequence[GroupSummary], title: str, confidence: float, generated: datetime) -> str:
    tasks = dict.fromkeys(summary.group.task for summary in summaries)
    runs = [run for summary in summaries for run in summary.group.runs]
    unfinished = sum(not run.finished for run in runs)
    parts = [f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} of {', '.join(tasks)}"]
    parts += [f"{unfinished} not finished"] if unfinished else []
    parts += [f"intervals: {confidence:.0%}, bootstrap over seeds", f"made {generated:%Y-%m-%d %H:%M}"]
    return f"<header><h1>{escape(title)}</h1><p>{escape(' · '.join(parts))}</p></header>"


def _scores(summaries: Sequence[GroupSummary], styles: Styles, confidence: float) -> str:
    rows = [
        (f"{_name(each)}, {_seeds(each)}", each.score, styles[each.group.method])
        for each in summaries
        if each.score
    ]
    if not rows:
        return ""
    words = "; ".join(f"{label}: {format_interval(score, 2)}" for label, score, _ in rows)
    described = f"Estimates with {confidence:.0%} bootstrap intervals over paired seeds. {words}."
    cards = "".join(
        f'<li class="{style.colour}"><strong>{escape(format_number(score.estimate, 2))}</strong>'
        f"<span>{escape(label)}</span></li>"
        for label, score, style in rows
    )
    # a few big numbers help; a row of twenty would only repeat the chart
    headline = f'<ul class="cards">{cards}</ul>' if len(rows) <= 4 else ""
    chart = interval_chart("Normalised score", described, rows, "scores")
    return (
        '<section class="card"><h2>Normalised score</h2><p class="meaning">Where the learned reward '
        "leads, between the untrained policy (0) and the same agent on the true reward (1).</p>"
        f'{headline}<div class="forest">{chart}</div></section>'
    )


def _seeds(summary: GroupSummary) -> str:
    count = summary.finished
    return "1 seed" if count == 1 else f"{count} seeds"


def _results(summaries: Sequence[GroupSummary], confidence: float) -> str:
    header, rows = result_rows(summaries)
    captions = (
        f"Means over finished seeds, with {confidence:.0%} intervals where there are two or more",
        "Cost",
    )
    tables = "".join(
        html_table(
            [header[i] for i in columns],
            [[row[i] for i in columns] for row in rows],
            caption=caption,
            words=2,
        )
        for caption, columns in zip(captions, RESULT_COLUMNS, strict=True)
    )
    return f'<section class="card"><h2>Results</h2>{tables}</section>'


def _remarks(remarks: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    return f'<section class="card remarks"><h2>Notes</h2><ul>{items}</ul></section>' if items else ""


def _task(
    task: str, groups: Sequence[Group], charts: Sequence[Chart], styles: Styles, number: int, clips: str
) -> str:
    legend = "".join(
        f"<li>{swatch(styles[group.method])}<span>{escape(group.label)}"
        f" <small>{len(group.runs)} {'seed' if len(group.runs) == 1 else 'seeds'}</small></span></li>"
        for group in groups
    )
    figures = [_figure(chart, f"task{number}chart{place}", place == 0) for place, chart in enumerate(charts)]
    inside = f'<div class="charts">{"".join(figures)}</div>' if figures else "<p>No metrics yet.</p>"
    return f'<section><h2>{escape(task)}</h2><ul class="legend">{legend}</ul>{inside}{clips}</section>'


def _figure(chart: Chart, identity: str, wide: bool) -> str:
    header, rows = chart_rows(chart)
    numbers = html_table(header, rows, caption=f"{chart.title}: mean over seeds, with interval")
    meaning = chart.description.split(" Mean over seeds")[0]
    return (
        f'<figure class="card{" wide" if wide else ""}"><figcaption><h3>{escape(chart.title)}</h3>'
        f'<p class="meaning">{escape(meaning)}</p></figcaption>{line_chart(chart, identity)}'
        f"<details><summary>Numbers</summary>{numbers}</details></figure>"
    )


def _clips(groups: Sequence[Group], megabytes: float) -> tuple[str, list[str]]:
    """Before and after of the first seed of each group that has clips, then its queries."""
    cards, notes = [], []
    for group in groups:
        for run in group.runs:
            clips, problems = read_clips(run, megabytes=megabytes)
            notes += problems
            if clips:
                untrained, trained = run.number("untrained_return_mean"), run.number("true_return_mean")
                captions = {
                    "before": f"before: untrained, return {format_number(untrained)}",
                    "after": f"after {format_number(run.steps)} steps: return {format_number(trained)}",
                }
                shown = "".join(
                    clip_figure(clip, captions[clip.name]) for clip in clips if clip.name in captions
                )
                asked = [clip for clip in clips if clip.name not in captions]
                queries = "".join(clip_figure(clip, clip.name.replace("_", " ")) for clip in asked)
                more = f"<details><summary>Queries</summary><div>{queries}</div></details>" if asked else ""
                words = escape(f"{group.label}, seed {run.seed}")
                cards.append(f'<div class="card clips"><h4>{words}</h4><div>{shown}</div>{more}</div>')
                break
    if not cards:
        return "", notes
    hold = '<label class="hold"><input type="checkbox"> Hold still</label>'
    return f'<h3>Clips</h3>{hold}<div class="pairs">{"".join(cards)}</div>', notes


def _runs(summaries: Sequence[GroupSummary]) -> str:
    header = [
        "folder",
        "task",
        "method",
        "seed",
        "state",
        "true return",
        "spread over episodes",
        "steps",
        "commit",
    ]
    rows = []
    for run, group in ((run, summary.group) for summary in summaries for run in summary.group.runs):
        state = (
            "finished" if run.finished else f"{run.steps / max(run.steps_planned, 1):.0%} done, no summary"
        )
        figures = [run.number("true_return_mean"), run.number("true_return_std"), run.steps]
        row = [str(run.path), run.task, group.label, str(run.seed), state, *map(format_number, figures)]
        rows.append([*row, run.commit[:10]])
    listed = html_table(header, rows, caption="Every run behind this page", words=3)
    return f'<section class="card"><details><summary>Runs ({len(rows)})</summary>{listed}</details></section>'


def _footer(command: str, resamples: int) -> str:
    return (
        "<footer><p><b>Steps</b> are agent decisions, those before the first fit included. "
        "<b>True return</b> in the tables is the mean score of fresh episodes of the final policy; in the "
        "curves, of recent training episodes. <b>Normalised score</b>: (learned − untrained) / "
        "(true − untrained), each the mean over the same seeds. <b>Labels</b> are answers left, right or "
        "equal; skips are counted apart. <b>Intervals</b> are percentile bootstrap intervals over seeds, "
        f"{resamples:,} resamples.</p><p>Made by <code>{escape(command)}</code></p></footer>"
    )
