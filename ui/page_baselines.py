"""The page that sets learned-reward runs beside true-reward runs: seeds, intervals, a table, CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from prefrl.runs.curves import Minutes, group_curve
from prefrl.runs.groups import Group, group_runs
from prefrl.runs.summary import GroupSummary, summarise_groups
from prefrl.statistics import Curve, Interval
from ui.charts import Chart, Line, draw
from ui.csv_text import csv_text
from ui.here import shelf
from ui.words import plain

AXES = {"steps": "Steps", "labels": "Labels", "minutes": "Human minutes"}
HEIGHT = 380
SEED = 0
"""Draws the bootstrap's resamples, so that a page looked at twice says the same."""


def baselines_page() -> None:
    """One task at a time: the curves of its methods, then the figures of all."""
    st.header("Baselines")
    runs, problems = shelf().runs()
    groups, notes = group_runs(runs)
    if not groups:
        st.write("There is nothing to compare yet. A learned reward beside the true one, two seeds each:")
        st.code(
            "for seed in 0 1; do\n"
            "  prefrl train hopper --seed $seed\n"
            "  prefrl train hopper --seed $seed --reward true\ndone",
            language="sh",
        )
    else:
        _compare(groups)
    for sentence in [*problems, *notes]:
        st.caption(plain(sentence))


def _compare(groups: Sequence[Group]) -> None:
    left, right = st.columns(2, vertical_alignment="bottom")
    tasks = list(dict.fromkeys(group.task for group in groups))
    task = left.selectbox("Task", tasks)
    over = right.segmented_control(
        "Over", list(AXES), format_func=AXES.__getitem__, default="steps", required=True, key="over"
    )
    shown = [group for group in groups if group.task == task]
    chart = return_chart(shown, over or "steps", shelf().minutes)
    draw(chart, key=f"baselines {task} {over}", height=HEIGHT)
    if absent := [group.label for group in shown if group.label not in chart.lines]:
        st.caption(f"Not drawn, for want of {AXES[over or 'steps'].lower()}: {plain('; '.join(absent))}.")
    summaries = summarise_groups(groups, seed=SEED)
    rows = table(summaries, shelf().minutes if over == "minutes" else None)
    st.dataframe(rows, hide_index=True, width="stretch", column_config=FORMATS, placeholder="–")
    for each in summaries:
        if each.score is None and each.score_note:
            what = f"{each.group.task}, {each.group.label}"
            st.caption(plain(f"No normalised score for {what}: {each.score_note}."))
    st.download_button(
        "CSV",
        data=lambda: csv_text(rows).encode(),
        file_name="baselines.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def return_chart(groups: Sequence[Group], over: str, minutes: Minutes) -> Chart:
    """True return of each method, mean and interval over its seeds.

    Over labels or time the true-reward runs, which need neither, are a level line at what they came to.
    """
    rng = np.random.default_rng(SEED)
    curves = {
        group.label: group_curve(group, "true_return", over=over, minutes=minutes, rng=rng)
        for group in groups
        if over == "steps" or group.reward == "learned"
    }
    lines = {name: _line(curve) for name, curve in curves.items() if curve is not None}
    end = max((float(line.x[-1]) for line in lines.values() if len(line.x)), default=0.0)
    if over != "steps" and end:
        for each in summarise_groups([group for group in groups if group.reward != "learned"], seed=SEED):
            if each.true_return is not None:
                lines[each.group.label] = _level(each.true_return, end)
    untrained = [run.number("untrained_return_mean") for group in groups for run in group.runs]
    known = [value for value in untrained if np.isfinite(value)]
    return Chart(
        "True return",
        lines,
        x_title=AXES[over].lower(),
        y_title="return per episode",
        help="Mean over seeds where every seed is; the band is the 95% bootstrap interval, and one seed has "
        "none. Runs that are going on are drawn as far as they have come.",
        marks={float(np.mean(known)): "untrained"} if known else {},
    )


def table(summaries: Sequence[GroupSummary], minutes: Minutes | None = None) -> list[dict[str, Any]]:
    """The figures of each method over its finished seeds: numbers, for the page and for CSV.

    With the minutes that people gave, which take a while to add up, where these are given.
    """
    rows = []
    for each in summaries:
        row: dict[str, Any] = {"task": each.group.task, "method": each.group.label}
        row |= {"seeds": each.finished, "of": len(each.group.runs)}
        row |= _bounds("true return", each.true_return)
        row |= {"untrained": each.untrained_return}
        row |= _bounds("normalised score", each.score)
        row |= {
            "correlation": each.reward_correlation,
            "labels": each.labels,
            "skips": each.skips,
        }
        if minutes is not None:
            row["human minutes"] = _mean_minutes(each.group, minutes)
        row |= {
            "steps": each.steps,
            "steps/s": each.steps_per_second,
            "wall minutes": each.wall_seconds / 60,
        }
        rows.append({name: _finite(value) for name, value in row.items()})
    return rows


def _bounds(name: str, interval: Interval | None) -> Mapping[str, float | None]:
    values = (None,) * 3 if interval is None else (interval.estimate, interval.lower, interval.upper)
    return dict(zip((name, f"{name}, from", f"{name}, to"), values, strict=True))


def _mean_minutes(group: Group, minutes: Minutes) -> float:
    spent = [float(given[-1]) for run in group.runs if len(given := minutes(run))]
    return float(np.mean(spent)) if spent else float("nan")


def _finite(value: Any) -> Any:
    return value if not isinstance(value, float) or np.isfinite(value) else None


def _line(curve: Curve) -> Line:
    drawn = np.isfinite(curve.mean)
    sides = (np.where(np.isfinite(side), side, curve.mean)[drawn] for side in (curve.lower, curve.upper))
    return Line(curve.grid[drawn].tolist(), curve.mean[drawn].tolist(), *(side.tolist() for side in sides))


def _level(interval: Interval, end: float) -> Line:
    mean = interval.estimate
    lower, upper = (mean if np.isnan(bound) else bound for bound in (interval.lower, interval.upper))
    return Line([0.0, end], [mean] * 2, [lower] * 2, [upper] * 2)


FORMATS = {
    name: st.column_config.NumberColumn(format=form)
    for form, names in {
        "%.1f": ("true return", "true return, from", "true return, to", "untrained", "human minutes"),
        "%.2f": ("normalised score", "normalised score, from", "normalised score, to", "correlation"),
        "localized": ("labels", "skips", "steps"),
        "%.0f": ("steps/s", "wall minutes"),
    }.items()
    for name in names
}
