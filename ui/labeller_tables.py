"""The figures of a run's labellers as tables: for the page, and as numbers for CSV."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from prefrl.bootstrap import Interval
from prefrl.labellers.statistics import LabellerStatistics, LabellingStatistics
from prefrl.labellers.weights import FULL_WEIGHT
from ui.csv_text import csv_text

SHARES = {
    "equal": ("Equal", "Share of answers to pairs that call both equally good."),
    "cannot_tell": ("Cannot tell", "Share of answers that decline; never trained on."),
    "left": (
        "Left",
        "Of the answers that prefer one side, share that prefer what stood left; unbiased is 50%.",
    ),
    "consistency": ("Consistency", "Share of hidden repeats answered as the first time."),
    "gold": ("Gold", "Share of gold pairs answered as expected."),
    "agreement": ("Agreement", "Share of others' answers to the same pairs that are the same."),
}
"""Shares with Wilson's 95% interval: title and help."""


def labeller_rows(found: LabellingStatistics, weights: dict[str, float]) -> list[dict[str, Any]]:
    """The figures as numbers, one row per labeller: for CSV."""
    return [
        {
            "labeller": one.labeller,
            "answers": one.answers,
            "late": one.late,
            "median seconds": _number(one.seconds.estimate),
            "quartile 1": _number(one.seconds.lower),
            "quartile 3": _number(one.seconds.upper),
            **{
                f"{share}{end}": _number(value)
                for share in SHARES
                for end, value in _ends(getattr(one, share)).items()
            },
            "repeats": one.repeats,
            "gold pairs": one.gold_answers,
            "shared": one.shared,
            "reliability": _number(one.reliability),
            "weight": weights.get(one.labeller, FULL_WEIGHT),
        }
        for one in found.labellers
    ]


def show_labellers(found: LabellingStatistics, weights: dict[str, float]) -> None:
    """What each labeller is like, in one table, with its CSV."""
    rows = [_shown(one, weights) for one in found.labellers]
    columns = {title: st.column_config.TextColumn(help=explanation) for title, explanation in SHARES.values()}
    columns["Labeller"] = st.column_config.TextColumn(pinned=True)
    columns["Time"] = st.column_config.TextColumn(help="Median seconds per answer, with the quartiles.")
    columns["Reliability"] = st.column_config.TextColumn(
        help="Probability that an answer is right, by Dawid and Skene's model: from agreement alone, without "
        "knowing the right answers. Needs 20 pairs that others have answered too."
    )
    st.dataframe(rows, hide_index=True, width="stretch", column_config=columns)
    st.caption("In brackets: 95% intervals; of the time, the quartiles. Practice is left out.")
    st.download_button(
        "CSV",
        data=lambda: csv_text(labeller_rows(found, weights)).encode(),
        file_name="labellers.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _shown(one: LabellerStatistics, weights: dict[str, float]) -> dict[str, Any]:
    seconds = one.seconds
    known = not math.isnan(seconds.estimate)
    return {
        "Labeller": one.labeller,
        "Answers": one.answers,
        "Late": one.late,
        "Time": f"{seconds.estimate:.1f} s ({seconds.lower:.1f}–{seconds.upper:.1f})" if known else "–",
        **{title: _percent(getattr(one, share)) for share, (title, _) in SHARES.items()},
        "Reliability": "–" if math.isnan(one.reliability) else f"{one.reliability:.0%}",
        "Weight": weights.get(one.labeller, FULL_WEIGHT),
    }


def show_agreement(found: LabellingStatistics) -> None:
    """How far labellers agree, all of them and every two."""
    st.subheader("Agreement")
    alpha = found.alpha
    if not found.pairs:
        st.write(
            "No pair has been answered by two people: let queries be answered by more than one labeller."
        )
        return
    if math.isnan(alpha.estimate):
        st.write("All answers to shared pairs are the same, so that agreement beyond chance has no measure.")
    else:
        st.write(
            f"Krippendorff's α is **{_signed(alpha.estimate)}** ({_signed(alpha.lower)} to "
            f"{_signed(alpha.upper)}): 1 is perfect agreement, 0 what chance gives."
        )
    rows = [
        {
            "One": found.labellers[pair.first].labeller,
            "Other": found.labellers[pair.second].labeller,
            "Pairs": pair.shared,
            "Same answer": _percent(pair.alike),
        }
        for pair in found.pairs
    ]
    st.dataframe(rows, hide_index=True, width="stretch")


def _signed(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")


def _percent(share: Interval) -> str:
    if math.isnan(share.estimate):
        return "–"
    return f"{share.estimate:.0%} ({share.lower * 100:.0f}–{share.upper * 100:.0f})"


def _ends(share: Interval) -> dict[str, float]:
    if math.isnan(share.estimate):
        return {"": math.nan, " lower": math.nan, " upper": math.nan}
    return {"": share.estimate, " lower": share.lower, " upper": share.upper}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
