"""The charts of the page on preferences, as Vega-Lite: every mark has its numbers in a tooltip or a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prefrl.texts.features import FEATURES
from prefrl.texts.fit_file import Curve, TextFit
from prefrl.texts.preference_effects import Effect

Spec = dict[str, Any]
HEIGHT = 150
COLOUR = "#3d86c6"  # seen on light and on dark


def share_chart(effects: Sequence[Effect]) -> Spec:
    """Per feature the share of pairs won by the larger value, with its interval; one half is no effect."""
    rows = [
        {"feature": f"{feature.more} wins", **asdict(effect.share)}
        for feature, effect in zip(FEATURES, effects, strict=True)
        if effect.pairs
    ]
    place: Spec = {"field": "feature", "type": "nominal", "sort": None, "title": None}
    along = {
        "type": "quantitative",
        "scale": {"domain": [0, 1]},
        "axis": {"format": "%", "tickCount": 5, "title": "share of pairs, with its interval"},
    }
    told = [
        {"field": name, "type": "quantitative", "format": ".1%"} for name in ("estimate", "lower", "upper")
    ]
    sides = {"x": along | {"field": "lower"}, "x2": {"field": "upper"}}
    return {
        "data": {"values": rows},
        "height": HEIGHT,
        "description": "Share of pairs won by the larger value of each feature, with intervals",
        "layer": [
            {
                "mark": {"type": "rule", "aria": False, "strokeDash": [4, 4], "color": "gray"},
                "encoding": {"x": {"datum": 0.5, "type": "quantitative"}},
            },
            {
                "mark": {"type": "rule", "aria": False, "strokeWidth": 3, "color": COLOUR},
                "encoding": {"y": place, **sides, "tooltip": told},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 130, "opacity": 1, "color": COLOUR},
                "encoding": {"y": place, "x": along | {"field": "estimate"}, "tooltip": told},
            },
        ],
    }


def curve_charts(fit: TextFit) -> list[Spec]:
    """The learned reward along each feature, on one scale: charts to be put side by side."""
    lowest = min(low for curve in fit.curves for low in curve.lowest)
    highest = max(high for curve in fit.curves for high in curve.highest)
    return [
        _curve(curve, (lowest, highest), first=place == 0)
        | {"description": f"Learned reward along {curve.feature}"}
        for place, curve in enumerate(fit.curves)
    ]


def _curve(curve: Curve, limits: tuple[float, float], *, first: bool) -> Spec:
    points = zip(curve.value, curve.reward, curve.lowest, curve.highest, strict=True)
    rows = [
        {"value": _shown(curve.feature, value), "reward": reward, "lowest": low, "highest": high}
        for value, reward, low, high in points
    ]
    along = {
        "field": "value",
        "type": "quantitative",
        "title": _title(curve.feature),
        "scale": {"zero": False},
    }
    up = {
        "type": "quantitative",
        "title": "reward (log odds)" if first else None,
        "scale": {"domain": limits},
    }
    return {
        "data": {"values": rows},
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.25, "color": COLOUR},
                "encoding": {
                    "x": along,
                    "y": up | {"field": "lowest"},
                    "y2": {"field": "highest"},
                },
            },
            {
                "mark": {"type": "line", "strokeWidth": 2, "tooltip": True, "color": COLOUR},
                "encoding": {"x": along, "y": up | {"field": "reward"}},
            },
        ],
    }


def _shown(feature: str, value: float) -> float:
    """A value as people read it: words instead of their logarithm."""
    return math.expm1(value) if feature == "length" else value


def _title(feature: str) -> str:
    return {"length": "words", "readability": "reading ease"}.get(feature, feature)
