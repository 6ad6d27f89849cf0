"""Line and interval charts as inline SVG: a few functions instead of a plotting library.

Colours come from the page's style sheet (`.series-0` ... set `color`), so that light and dark need no second
drawing. Nothing is told by colour alone: every series has its own dash pattern and marker as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from experiments.report_marks import (
    Style,
    format_interval,
    format_number,
    format_tick,
    line,
    marker,
    nice_ticks,
    text,
)
from prefrl.statistics import Interval

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One line: mean and bounds on a grid, the seeds behind it as thin lines `(x, y)`; NaN breaks a line."""

    label: str
    style: Style
    x: FloatArray
    y: FloatArray
    lower: FloatArray
    upper: FloatArray
    seeds: Sequence[tuple[FloatArray, FloatArray]] = ()
    target: FloatArray | None = None  # drawn dotted beside the line: what y should be


@dataclass(frozen=True)
class Chart:
    """A line chart; `references` are horizontal lines `(y, label)`, the y axis reaches the `limits`."""

    title: str
    description: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    references: Sequence[tuple[float, str]] = ()
    limits: tuple[float, ...] = ()
    width: int = 460
    height: int = 280


def line_chart(chart: Chart, identity: str) -> str:
    """The chart as one <svg> element; `identity` is unique on the page and made of letters and digits."""
    frame = _Frame.around(chart)
    body = [_axes(chart, frame)]
    body += [line("reference", frame.left, h, frame.right, h) for h in map(frame.height, chart.references)]
    body += [_band(frame, series) for series in chart.series]
    for series in chart.series:
        body += [_path(frame, x, y, "seed", series.style) for x, y in series.seeds]
    for series in chart.series:
        if series.target is not None:
            body.append(_path(frame, series.x, series.target, "target", series.style))
        body += [_path(frame, series.x, series.y, "mean", series.style), _markers(frame, series)]
    for reference in chart.references:
        body.append(text("note", frame.right - 4, frame.height(reference) - 5, "end", reference[1]))
    return _svg(chart.title, chart.description, identity, chart.width, chart.height, body)


def interval_chart(
    title: str, description: str, rows: Sequence[tuple[str, Interval, Style]], identity: str
) -> str:
    """Normalised scores with intervals, one row each, between 0 for untrained and 1 for the true reward."""
    width, left, step, top = 1100, 370, 34, 30
    bottom = top + step * len(rows) + 6
    finite = [v for _, each, _ in rows for v in (each.estimate, each.lower, each.upper) if np.isfinite(v)]
    low, high = min([0.0, *finite]) - 0.05, max([1.0, *finite]) + 0.05

    def across(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (width - left - 190)

    body = []
    for tick in nice_ticks(low, high, 8):
        body.append(line("grid", across(tick), top, across(tick), bottom))
        body.append(text("tick", across(tick), bottom + 18, "middle", format_number(tick)))
    for value, words in ((0.0, "untrained"), (1.0, "true reward")):
        body.append(line("reference", across(value), top, across(value), bottom))
        body.append(text("note", across(value), top - 9, "middle", words))
    for index, (label, interval, style) in enumerate(rows):
        y = top + step * (index + 0.5) + 3
        words = format_interval(interval, 2)
        body += [text("row", 0, y + 5, "start", _shorten(label, 46)), text("row", width, y + 5, "end", words)]
        body.append(f'<g class="{style.colour}">')
        if not np.isnan(interval.lower):
            body.append(line("whisker", across(interval.lower), y, across(interval.upper), y))
        body += [marker(across(interval.estimate), y, style.shape, 6, words), "</g>"]
    return _svg(title, description, identity, width, bottom + 34, body)


@dataclass(frozen=True)
class _Frame:
    """The plotting area and its two scales."""

    left: float
    right: float
    top: float
    bottom: float
    x_max: float
    y_low: float
    y_high: float

    @classmethod
    def around(cls, chart: Chart) -> "_Frame":
        arrays = [array for series in chart.series for array in _heights(series)]
        ys = np.concatenate([np.array([*chart.limits, *(y for y, _ in chart.references)]), *arrays])
        ys = ys[np.isfinite(ys)]
        low, high = (float(ys.min()), float(ys.max())) if len(ys) else (0.0, 1.0)
        margin = 0.05 * (high - low) or max(abs(high), 1.0) * 0.05
        # a limit is a hard edge where the data stay within it: no empty strip below zero labels
        low = low if low in chart.limits else low - margin
        high = high if high in chart.limits else high + margin
        x_max = max((float(series.x[-1]) for series in chart.series if len(series.x)), default=1.0)
        return cls(56, chart.width - 16, 30, chart.height - 44, x_max or 1.0, low, high)

    def across(self, x: FloatArray | float) -> FloatArray:
        return np.asarray(self.left + np.asarray(x) / self.x_max * (self.right - self.left))

    def height(self, reference: tuple[float, str]) -> float:
        return float(self.down(reference[0]))

    def down(self, y: FloatArray | float) -> FloatArray:
        share = (np.asarray(y) - self.y_low) / (self.y_high - self.y_low)
        return np.asarray(self.bottom - share * (self.bottom - self.top))


def _shorten(words: str, length: int) -> str:
    return words if len(words) <= length else f"{words[: length - 1]}…"


def _heights(series: Series) -> list[FloatArray]:
    target = [] if series.target is None else [series.target]
    return [series.y, series.lower, series.upper, *target, *(y for _, y in series.seeds)]


def _svg(title: str, description: str, identity: str, width: int, height: int, body: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{identity}t {identity}d">'
        f'<title id="{identity}t">{escape(title)}</title><desc id="{identity}d">{escape(description)}</desc>'
        f"{''.join(body)}</svg>"
    )


def _axes(chart: Chart, frame: _Frame) -> str:
    parts = []
    for tick in nice_ticks(frame.y_low, frame.y_high, 5):
        y = float(frame.down(tick))
        parts.append(line("grid", frame.left, y, frame.right, y))
        parts.append(text("tick", frame.left - 7, y + 4, "end", format_tick(tick, frame.y_high)))
    for tick in nice_ticks(0.0, frame.x_max, max(5, chart.width // 110)):
        x = float(frame.across(tick))
        parts.append(line("axis", x, frame.bottom, x, frame.bottom + 4))
        parts.append(text("tick", x, frame.bottom + 18, "middle", format_tick(tick, frame.x_max)))
    parts.append(line("axis", frame.left, frame.bottom, frame.right, frame.bottom))
    parts.append(text("axis-label", frame.right, chart.height - 6, "end", chart.x_label))
    parts.append(text("axis-label", 4, 14, "start", chart.y_label))
    return "".join(parts)


def _pieces(*arrays: FloatArray) -> list[list[FloatArray]]:
    """The stretches on which all arrays are finite."""
    finite = np.isfinite(np.vstack(arrays)).all(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], finite, [False]]).astype(int)))
    return [[array[start:end] for array in arrays] for start, end in edges.reshape(-1, 2)]


def _points(frame: _Frame, x: FloatArray, y: FloatArray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(frame.across(x), frame.down(y), strict=True))


def _path(frame: _Frame, x: FloatArray, y: FloatArray, kind: str, style: Style) -> str:
    dash = f' stroke-dasharray="{style.dash}"' if kind == "mean" and style.dash else ""
    return "".join(
        f'<polyline class="{kind} {style.colour}"{dash} points="{_points(frame, *piece)}"/>'
        for piece in _pieces(x, y)
    )


def _band(frame: _Frame, series: Series) -> str:
    return "".join(
        f'<polygon class="band {series.style.colour}" points="{_points(frame, x, low)} '
        f'{_points(frame, x[::-1], high[::-1])}"/>'
        for x, low, high in _pieces(series.x, series.lower, series.upper)
    )


def _markers(frame: _Frame, series: Series) -> str:
    present = np.flatnonzero(np.isfinite(series.y))
    # staggered, so that the markers of lines on top of each other can be told apart
    shares = (np.arange(6) + 0.3 + 0.2 * (series.style.place % 4)) / 6
    marks = []
    for index in dict.fromkeys(present[(shares * len(present)).astype(int)].tolist() if len(present) else ()):
        x, y = float(series.x[index]), float(series.y[index])
        hint = f"{series.label}: {format_number(y)} at {format_number(x)}"
        marks.append(marker(float(frame.across(x)), float(frame.down(y)), series.style.shape, 4.5, hint))
    return f'<g class="{series.style.colour}">{"".join(marks)}</g>'
