"""Charts of a run's diagnostics in Vega-Lite: each with its words for who cannot see it, and its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from prefrl.calibration import Calibration
from prefrl.diagnostics import SessionReport
from prefrl.statistics import wilson_interval
from ui.charts import COLOURS, Chart, Line

Rows = list[dict[str, Any]]
Spec = dict[str, Any]

SMOOTHED = 5
"""Sessions whose fresh answers are taken together: one alone has a dozen."""
LEAST_EVIDENCE, MOST_EVIDENCE = 1e-2, 1e6


def agreement_rows(sessions: Sequence[SessionReport]) -> Rows:
    """Agreement on the fresh answers of the last few sessions, with its 95% interval (Wilson)."""
    rows = []
    for place, session in enumerate(sessions):
        near = sessions[max(0, place - SMOOTHED + 1) : place + 1]
        decided = [one for report in near for one in report.answers if one.given != 0.5]
        if not session.answers or not decided:
            continue
        right = sum((one.predicted > 0.5) == (one.given > 0.5) for one in decided)
        interval = wilson_interval(right, len(decided))
        sure = float(np.mean([max(one.predicted, 1 - one.predicted) for one in decided]))
        rows.append(
            {
                "step": session.step,
                "agreement": interval.estimate,
                "lower": interval.lower,
                "upper": interval.upper,
                "expected": sure,
                "answers": len(decided),
            }
        )
    return rows


def agreement_chart(rows: Rows) -> Chart:
    """Agreement with its band, and beside it what the ensemble itself expected."""
    column = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
    steps = column.get("step", [])
    agreement = Line(steps, *(column.get(name, []) for name in ("agreement", "lower", "upper")))
    return Chart(
        "Agreement on fresh answers",
        {"agreement": agreement, "expected": Line(steps, column.get("expected", []))},
        limits=(0.0, 1.0),
        marks={0.5: "a coin"},
        help=f"Each answer is predicted before it is fitted; {SMOOTHED} sessions together, 95% interval. "
        "Expected is what the ensemble believes: where that is much more, it believes in what is not so.",
    )


def calibration_rows(table: Calibration) -> Rows:
    """The table behind a calibration chart: its bins that are not empty."""
    return [
        {"predicted": float(p), "answered left": float(y), "answers": int(n), **_wilson(float(y), int(n))}
        for p, y, n in zip(table.mean_probability, table.mean_outcome, table.count, strict=True)
        if n
    ]


def calibration_chart(rows: Rows) -> Spec:
    """Answered against predicted, with the diagonal on which both are equal."""
    unit = {"domain": [0, 1]}
    x = {"field": "predicted", "type": "quantitative", "scale": unit, "title": "predicted P(left is better)"}
    y = {"field": "answered left", "type": "quantitative", "scale": unit, "title": "share answered left"}
    diagonal = {
        "data": {"values": [{"at": 0}, {"at": 1}]},
        "mark": {"type": "line", "strokeDash": [3, 4], "color": "gray"},
        "encoding": {
            "x": {"field": "at", "type": "quantitative"},
            "y": {"field": "at", "type": "quantitative"},
        },
    }
    size = {"field": "answers", "type": "quantitative", "legend": None, "scale": {"range": [40, 400]}}
    tip = [{"field": name, "format": ".2f"} for name in ("predicted", "answered left")] + [
        {"field": "answers"}
    ]
    whisker = {"x": x, "y": {**y, "field": "lower"}, "y2": {"field": "upper"}}
    return {
        "data": {"values": rows},
        "layer": [
            diagonal,
            {"mark": {"type": "rule", "opacity": 0.5}, "encoding": whisker},
            {
                "mark": {"type": "point", "filled": True},
                "encoding": {"x": x, "y": y, "size": size, "tooltip": tip},
            },
        ],
    }


def return_rows(session: SessionReport) -> Rows:
    """Learned and true return of a session's fresh segments."""
    return [{"learned": learned, "true": true} for learned, true in session.points]


def return_chart() -> Spec:
    """Learned against true return, one point per segment; the data come beside it."""
    free = {"zero": False}
    return {
        "mark": {"type": "point", "filled": True, "opacity": 0.55, "size": 36},
        "encoding": {
            "x": {"field": "true", "type": "quantitative", "title": "true return", "scale": free},
            "y": {"field": "learned", "type": "quantitative", "title": "learned return", "scale": free},
            "tooltip": [{"field": "true", "format": ".3g"}, {"field": "learned", "format": ".3g"}],
        },
    }


def importance_chart() -> Spec:
    """Bars of how much each number of the input matters, the most first; the data come beside it."""
    return {
        "mark": "bar",
        "encoding": {
            "x": {"field": "matters", "type": "quantitative", "title": "learned reward per usual change"},
            "y": {"field": "input", "type": "nominal", "sort": "-x", "title": None},
            "tooltip": [{"field": "input"}, {"field": "matters", "format": ".3g"}],
        },
    }


def alarm_rows(sessions: Sequence[SessionReport]) -> Rows:
    """How the alarm stood at each session at which it listened; no more than can be told apart on a chart."""
    return [
        {
            "step": one.step,
            "evidence": min(max(one.evidence, LEAST_EVIDENCE), MOST_EVIDENCE),
            "rings at": one.threshold,
            "predicted rise": one.rise,
            "rang": one.rang,
        }
        for one in sessions
        if np.isfinite(one.threshold)
    ]


def alarm_chart() -> Spec:
    """Evidence on a logarithmic scale with the line at which the alarm rings; the data come beside it."""
    x = {"field": "step", "type": "quantitative", "title": "steps", "axis": {"format": "~s", "tickCount": 6}}
    y: Spec = {"field": "evidence", "type": "quantitative", "title": "evidence", "scale": {"type": "log"}}
    y["axis"] = {"values": [10.0**power for power in range(-2, 7)], "format": "~g"}
    tip = [
        {"field": "step", "format": ",.6~g"},
        {"field": "evidence", "format": ".3~g"},
        {"field": "predicted rise", "format": "+.0%"},
    ]
    bell = {"condition": {"test": "datum.rang", "value": 220}, "value": 0}
    return {
        "encoding": {"x": {**x, "scale": {"zero": False, "nice": False}}},
        "layer": [
            {
                "mark": {"type": "line", "strokeDash": [2, 3], "color": "gray"},
                "encoding": {"y": {**y, "field": "rings at"}},
            },
            {
                "mark": {"type": "line", "point": {"size": 18}, "color": COLOURS[0]},
                "encoding": {"y": y, "tooltip": tip},
            },
            {
                "mark": {"type": "point", "shape": "triangle-up", "filled": True, "color": COLOURS[1]},
                "encoding": {"y": y, "size": bell, "tooltip": tip},
            },
        ],
    }


def show_table(rows: list[dict[str, Any]]) -> None:
    """The numbers behind a chart."""
    with st.expander("As a table"):
        st.dataframe(rows, hide_index=True, width="stretch")


def _wilson(share: float, answers: int) -> dict[str, float]:
    interval = wilson_interval(round(share * answers), answers)
    return {"lower": interval.lower, "upper": interval.upper}
