"""The newest compared pairs of a run: the learned reward of each step, and what the network looked at."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from prefrl.clip_files import mark_watched, read_note
from prefrl.diagnostics import SessionReport
from prefrl.saliency_files import read_saliency
from ui.diagnostic_charts import importance_chart, show_table
from ui.reward_player import reward_player
from ui.workplace import RunView

MOST_BARS = 12
DRAWING_SECONDS = 2.0
"""Time between two looks for clips that are being drawn."""


def compared_clips(run: RunView, session: SessionReport) -> None:
    """The newest compared pairs with the reward of each step, and what the network looked at."""
    st.subheader("What the reward saw", help="The newest compared pairs; move along the clip below them.")
    if not session.pairs:
        st.caption("The first pairs are shown once the reward has been fitted.")
        return
    mark_watched(run.path)
    labels = [
        f"{place + 1}: predicted {pair.predicted:.0%} left, answered {_said(pair.given)}"
        for place, pair in enumerate(session.pairs)
    ]
    place = st.selectbox("Pair", range(len(labels)), format_func=labels.__getitem__)
    pair = session.pairs[place]
    sides = [_side(run.path, segment.item, segment.rewards) for segment in (pair.left, pair.right)]
    for name, side in zip(("left", "right"), sides, strict=True):
        if side["problem"]:
            st.caption(f"The {name} clip: {side['problem']}")
    items = [pair.left.item, pair.right.item]
    if not all(seen := _seen(run.path, items)):
        st.fragment(_wait, run_every=DRAWING_SECONDS)(run.path, items, seen)
    shown = [{name: side[name] for name in ("note", "overlay", "rewards")} for side in sides]
    key = f"reward {run.name} {session.session} {place}"
    reward_player()(key=key, data={"run": run.name, "sides": shown})
    _importance(run.path, items)


def _wait(run: Path, items: list[str], seen: list[bool]) -> None:
    """Shows the page anew once there is more to see; looking by itself does not disturb the player."""
    if _seen(run, items) != seen:
        st.rerun()


def _seen(run: Path, items: list[str]) -> list[bool]:
    """Whether each clip has been drawn, and looked into."""
    return [read(run, item) is not None for read in (read_note, read_saliency) for item in items]


def _side(run: Path, item: str, rewards: tuple[float, ...]) -> dict[str, Any]:
    note, saliency = read_note(run, item), read_saliency(run, item)
    problem = "it is being drawn, if `prefrl clips` or `prefrl label` runs." if note is None else note.problem
    overlay = saliency.sheet if saliency is not None else None
    return {
        "note": None if note is None or note.sheet is None else asdict(note) | {"item": ""},
        "overlay": None if overlay is None else asdict(overlay),
        "rewards": list(rewards),
        "problem": problem,
    }


def _importance(run: Path, items: list[str]) -> None:
    """Bars for a reward on numbers: what it depends on in these two clips."""
    notes = [note for item in items if (note := read_saliency(run, item)) is not None and note.names]
    if not notes:
        return
    mean = np.mean([note.importance for note in notes], axis=0)
    order = np.argsort(-mean)[:MOST_BARS]
    rows = [{"input": notes[0].names[i], "matters": float(mean[i])} for i in order]
    st.markdown(
        "**What the reward depends on** in these clips",
        help="What a usual change of one number alone changes.",
    )
    words = f"The most important input is {rows[0]['input']}."
    st.vega_lite_chart(rows, importance_chart(), width="stretch", key="importance", alt=words)
    show_table(rows)


def _said(given: float | None) -> str:
    if given is None or given == 0.5:
        return "equal" if given == 0.5 else "nothing"
    return "left" if given > 0.5 else "right"
