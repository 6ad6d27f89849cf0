"""A chart as an SVG file of its own, with its style sheet and legend in it, for a README or a paper."""

from experiments.report_charts import Chart, line_chart
from experiments.report_marks import swatch, text
from experiments.report_style import CHART_STYLE

_LEGEND_ROW = 20
_MARGIN = 12


def figure(chart: Chart, *, title: str) -> str:
    """The chart under a title, a line of legend per series below it."""
    top = 34
    legend_top = top + chart.height + 6
    height = legend_top + _LEGEND_ROW * len(chart.series) + _MARGIN
    width = chart.width + 2 * _MARGIN
    body = [
        f'<rect width="{width}" height="{height}" rx="10" fill="var(--card)"/>',
        text("title", _MARGIN + 4, 24, "start", title),
        _placed(line_chart(chart, "chart"), _MARGIN, top, chart.width, chart.height),
    ]
    for row, series in enumerate(chart.series):
        y = legend_top + _LEGEND_ROW * row
        body.append(_placed(swatch(series.style), _MARGIN + 56, y, 40, 16))
        body.append(text("row", _MARGIN + 106, y + 12, "start", series.label))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><style>{CHART_STYLE}</style>{"".join(body)}</svg>\n'
    )


def _placed(inner: str, x: int, y: int, width: int, height: int) -> str:
    return f'<svg x="{x}" y="{y}" width="{width}" height="{height}">{inner}</svg>'
