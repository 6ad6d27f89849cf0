"""How a report writes a number and draws a series: colour, dash pattern and marker, never colour alone."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np

from prefrl.statistics import Interval

COLOURS = 7  # how many .series-N the style sheet defines, besides .series-true
_DASHES = ("", "9 4", "2 4", "12 4 3 4", "5 3")
_SHAPES: dict[str, Callable[[float, float, float], str]] = {
    "square": lambda x, y, r: f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h{-2 * r}z",
    "triangle": lambda x, y, r: f"M{x:.1f} {y - 1.2 * r:.1f}l{1.2 * r:.1f} {2.1 * r:.1f}h{-2.4 * r:.1f}z",
    "diamond": lambda x, y, r: (
        f"M{x:.1f} {y - 1.3 * r:.1f}l{1.3 * r:.1f} {1.3 * r:.1f}"
        f"l{-1.3 * r:.1f} {1.3 * r:.1f}l{-1.3 * r:.1f} {-1.3 * r:.1f}z"
    ),
    "cross": lambda x, y, r: f"M{x - r:.1f} {y - r:.1f}l{2 * r} {2 * r}m0 {-2 * r}l{-2 * r} {2 * r}",
    "down": lambda x, y, r: f"M{x:.1f} {y + 1.2 * r:.1f}l{1.2 * r:.1f} {-2.1 * r:.1f}h{-2.4 * r:.1f}z",
    "hourglass": lambda x, y, r: f"M{x - r:.1f} {y - r:.1f}h{2 * r}l{-2 * r} {2 * r}h{2 * r}z",
}


@dataclass(frozen=True)
class Style:
    """How one series looks; `place` counts learned methods from 0 up, true-reward ones from -1 down."""

    place: int

    @property
    def colour(self) -> str:
        """Class of the style sheet."""
        return f"series-{self.place % COLOURS}" if self.place >= 0 else "series-true"

    @property
    def dash(self) -> str:
        """SVG's stroke-dasharray; empty is a solid line."""
        return _DASHES[(self.place if self.place >= 0 else -1 - self.place) % len(_DASHES)]

    @property
    def shape(self) -> str:
        """Name of the marker's shape; the circle is the true reward's own."""
        return list(_SHAPES)[self.place % len(_SHAPES)] if self.place >= 0 else "circle"


def format_number(value: float, decimals: int | None = None) -> str:
    """A number for people: 1.2M, 350k, 2,760, 0.87; an en dash where there is none."""
    if not np.isfinite(value):
        return "–" if np.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if decimals is not None:
        text = f"{size:,.{decimals}f}"
    elif size >= 999_500:
        text = f"{size / 1e6:.3g}M"
    elif size >= 1e4:
        text = f"{size / 1e3:.3g}k"
    else:
        text = f"{size:,.0f}" if size >= 100 else f"{size:.3g}"
    return f"−{text}" if value < 0 and text.strip("0.") else text


def format_tick(value: float, largest: float) -> str:
    """A number of an axis that reaches to `largest`: 5k beside 10k, but 5,000 beside 8,000."""
    return f"{value / 1e3:g}k" if largest >= 1e4 and 1e3 <= abs(value) < 1e4 else format_number(value)


def format_interval(interval: Interval | None, decimals: int | None = None) -> str:
    """An estimate with its bounds in brackets, without them where there are none."""
    if interval is None:
        return "–"
    estimate = format_number(interval.estimate, decimals)
    if np.isnan(interval.lower):
        return estimate
    return (
        f"{estimate} [{format_number(interval.lower, decimals)}, {format_number(interval.upper, decimals)}]"
    )


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten) that lie within [low, high]."""
    raw = (high - low if high > low else max(abs(high), 1.0)) / max(count, 1)
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * next(multiple for multiple in (1, 2, 5, 10) if multiple * power >= raw * 0.999)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in np.arange(first, last + 1)]


def swatch(style: Style) -> str:
    """A short piece of the series for a legend; decoration, since the legend's words stand beside it."""
    drawn = f'<line class="mean" x1="1" x2="39" y1="8" y2="8" stroke-dasharray="{style.dash}"/>'
    mark = marker(20, 8, style.shape, 4.5)
    return f'<svg class="swatch {style.colour}" width="40" height="16" aria-hidden="true">{drawn}{mark}</svg>'


def marker(x: float, y: float, shape: str, radius: float, hint: str = "") -> str:
    """One marker of a series; the hint shows on hovering."""
    title = f"<title>{escape(hint)}</title>" if hint else ""
    if shape == "circle":
        return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{title}</circle>'
    return f'<path class="mark" d="{_SHAPES[shape](x, y, radius)}">{title}</path>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """A straight line of a class of the style sheet."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(kind: str, x: float, y: float, anchor: str, words: str) -> str:
    """Words of a class of the style sheet; the anchor is start, middle or end."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
