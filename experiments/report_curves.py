"""Which curves a report draws for a task, and how the seeds of a group become one line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.report_charts import Chart, Series
from experiments.report_marks import Style, format_interval, format_number
from prefrl.runs.curves import finite_curve, mean_curve
from prefrl.runs.groups import Group
from prefrl.statistics import Interval

FloatArray = NDArray[np.float64]
Styles = Mapping[tuple[str, str, str, int, str], Style]
"""How each method looks, by `Group.method`: the same on every task."""


@dataclass(frozen=True)
class Plot:
    """One chart of every task: the metric on its y axis and what a reader must know about it."""

    key: str
    title: str
    y_label: str
    meaning: str
    references: tuple[tuple[float, str], ...] = ()
    limits: tuple[float, ...] = ()
    target: str = ""
    learned_only: bool = True


TRUE_RETURN = Plot(
    "true_return",
    "True return",
    "return per episode",
    "Mean score of recent training episodes; an agent on a learned reward never sees it.",
    learned_only=False,
)
PLOTS = (
    Plot(
        "learned_return",
        "Learned return",
        "learned return",
        "What the agent is trained on, in the learned reward's own units.",
    ),
    Plot(
        "agreement",
        "Agreement with the true reward",
        "share predicted right",
        "How often the learned reward prefers the side of the higher true return, on fresh segments.",
        references=((0.5, "chance"),),
        limits=(0.5, 1.0),
    ),
    Plot(
        "reward_correlation",
        "Learned against true reward",
        "rank correlation",
        "Spearman's correlation of learned and true return over held-out segments.",
        limits=(0.0, 1.0),
    ),
    Plot(
        "log_loss",
        "Log loss on held-out comparisons",
        "nats",
        "Below a coin flip's 0.69 the learned reward knows something; rising again, it fits noise.",
        references=((float(np.log(2)), "coin flip"),),
        limits=(0.0,),
    ),
    Plot(
        "labels",
        "Labels against schedule",
        "labels",
        "Answers given so far; dotted: the answers due by the schedule.",
        limits=(0.0,),
        target="labels_due",
    ),
    Plot(
        "steps_per_second",
        "Speed",
        "steps per second",
        "Agent steps per second of wall time, everything included.",
        limits=(0.0,),
        learned_only=False,
    ),
)
DRAWN = tuple(key for plot in (TRUE_RETURN, *PLOTS) for key in (plot.key, plot.target) if key)
"""The columns of the metrics that a report draws."""


def method_styles(groups: Sequence[Group]) -> Styles:
    """A style for every method among the groups."""
    learned = dict.fromkeys(group.method for group in groups if group.reward != "true")
    true = dict.fromkeys(group.method for group in groups if group.reward == "true")
    styles = {method: Style(place) for place, method in enumerate(learned)}
    return styles | {method: Style(-1 - place) for place, method in enumerate(true)}


def task_charts(
    groups: Sequence[Group],
    styles: Styles,
    *,
    seed: int,
    confidence: float,
    resamples: int,
) -> list[Chart]:
    """The charts of one task, true return first; those that no run has numbers for are left out."""
    untrained = [run.number("untrained_return_mean") for group in groups for run in group.runs]
    known = [value for value in untrained if np.isfinite(value)]
    charts = []
    for plot in (TRUE_RETURN, *PLOTS):
        shown = [group for group in groups if group.reward == "learned" or not plot.learned_only]
        rng = np.random.default_rng(seed)
        series = [_series(group, plot, styles[group.method], rng, confidence, resamples) for group in shown]
        series = [each for each in series if np.isfinite(each.y).any() or each.seeds]
        if not series:
            continue
        first = plot is TRUE_RETURN
        charts.append(
            Chart(
                title=plot.title,
                description=_describe(plot, series, confidence),
                x_label="steps",
                y_label=plot.y_label,
                series=series,
                references=((float(np.mean(known)), "untrained"),) if first and known else plot.references,
                limits=plot.limits,
                width=1100 if first else 460,
                height=390 if first else 280,
            )
        )
    return charts


def chart_rows(chart: Chart, points: int = 11) -> tuple[list[str], list[list[str]]]:
    """The numbers behind a chart as a header and rows of text, thinned to about `points` rows."""
    header = [chart.x_label]
    for series in chart.series:
        header += [series.label] + ([f"{series.label}: due"] if series.target is not None else [])
    grid = max((series.x for series in chart.series), key=lambda x: x[-1])
    rows = []
    for step in grid[:: max(1, (len(grid) - 1) // (points - 1))]:
        row = [format_number(float(step))]
        for series in chart.series:
            row.append(format_interval(_at(series, step)))
            if series.target is not None:
                row.append(format_number(_value(series.x, series.target, step)))
        rows.append(row)
    return header, rows


def _series(
    group: Group, plot: Plot, style: Style, rng: np.random.Generator, confidence: float, resamples: int
) -> Series:
    curves = [each for run in group.runs if len((each := finite_curve(run, plot.key))[0])]
    last = max((float(run.column("step").max(initial=0.0)) for run in group.runs), default=0.0)
    curve = mean_curve(curves, last=last, rng=rng, confidence=confidence, resamples=resamples)
    grid = curve.grid
    lines = [(grid, _within(x, y, grid)) for x, y in curves] if len(curves) > 1 else []
    bounds = (curve.mean, curve.lower, curve.upper)
    return Series(group.label, style, grid, *bounds, lines, _target(group, plot, grid))


def _target(group: Group, plot: Plot, grid: FloatArray) -> FloatArray | None:
    if not plot.target:
        return None
    due = [(run.column("step"), run.column(plot.target)) for run in group.runs]
    longest = max(due, key=lambda curve: len(curve[0]))
    finite = np.isfinite(longest[1])
    return _within(longest[0][finite], longest[1][finite], grid) if finite.any() else None


def _within(x: FloatArray, y: FloatArray, grid: FloatArray) -> FloatArray:
    return np.interp(grid, x, y, left=np.nan, right=np.nan)


def _value(x: FloatArray, y: FloatArray, at: float) -> float:
    return float(np.interp(at, x, y, left=np.nan, right=np.nan))


def _at(series: Series, step: float) -> Interval:
    return Interval(*(_value(series.x, values, step) for values in (series.y, series.lower, series.upper)))


def _describe(plot: Plot, series: Sequence[Series], confidence: float) -> str:
    ends = []
    for each in series:
        present = np.flatnonzero(np.isfinite(each.y))
        if len(present):
            end = int(present[-1])
            interval = Interval(float(each.y[end]), float(each.lower[end]), float(each.upper[end]))
            ends.append(f"{each.label}: {format_interval(interval)} at {format_number(each.x[end])} steps")
    words = f"{plot.meaning} Mean over seeds; band: {confidence:.0%} interval; thin lines: single seeds."
    return f"{words} At the end: {'; '.join(ends)}." if ends else words
