"""What a run has asked about last, as moving clips."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from prefrl.clip_files import ClipNote, mark_watched, read_note
from prefrl.feedback import HIGHEST_RATING, Answer, Kind, Query, Value
from ui.words import plain
from ui.workplace import RunView

ASSETS = Path(__file__).parent / "assets"
QUERIES = 2
"""Newest queries that are shown."""
MOST_CLIPS = 5
LETTERS = "ABCDE"
"""Of the clips of a query."""
START = """
export default function (component) {
  const { parentElement, data } = component;
  const address = new URL("/prefrl/assets/clips.js", window.location.origin).href;
  const left = import(address).then((strip) => strip.mount(parentElement, data));
  return () => left.then((leave) => leave());
}
"""


@dataclass(frozen=True)
class LatestClip:
    """A clip of one of the newest queries, what to say below it, and how to show it if it is drawn."""

    item: str
    caption: str
    note: ClipNote | None


def latest_clips(view: RunView) -> list[LatestClip]:
    """The clips of the newest queries; asks for them to be drawn. Raises UsageError for a damaged store."""
    store, name = view.store, view.store_name
    queries = store.queries(name, after=store.next_counter(name) - 1 - QUERIES)
    answers = {
        one.query_id: one for one in store.current_answers(name, query_ids=[query.id for query in queries])
    }
    mark_watched(view.path)
    clips = [
        LatestClip(item, _caption(query, place, answers.get(query.id)), read_note(view.path, item))
        for query in queries
        for place, item in enumerate(query.items)
    ]
    return clips[-MOST_CLIPS:] if len(clips) > MOST_CLIPS else clips


def show_clips(view: RunView, clips: list[LatestClip]) -> None:
    """Plays the clips that are drawn and says what becomes of the others."""
    drawn = [clip for clip in clips if clip.note is not None and clip.note.sheet]
    if drawn:
        shown = [{"note": asdict(clip.note), "caption": clip.caption} for clip in drawn if clip.note]
        _strip()(key=f"clips {view.name}", data={"run": view.name, "clips": shown})
    for clip in clips:
        if clip.note is not None and clip.note.problem:
            st.caption(plain(f"{clip.caption}: {clip.note.problem}"))
    if any(clip.note is None for clip in clips):
        st.caption(
            f"{sum(clip.note is None for clip in clips)} of {len(clips)} clips are being drawn "
            "(by `prefrl label`, or by `prefrl clips` where that runs)."
        )


def _caption(query: Query, place: int, answer: Answer | None) -> str:
    where = f"Query {query.counter + 1}"
    if len(query.items) > 1:
        where += f", {LETTERS[place]}" if place < len(LETTERS) else f", {place + 1}"
    said = "" if answer is None else _said(query.kind, place, answer.value)
    return f"{where}: {said} ({answer.labeller})" if answer is not None and said else where


def _said(kind: Kind, place: int, value: Value) -> str:
    """What was said of one of a query's clips; empty for the worse one of a pair, and for skips."""
    match kind, value:
        case Kind.PAIR, (float() | int()) as preference:
            wanted = preference if place == 0 else 1.0 - preference
            return "equal" if wanted == 0.5 else "preferred" if wanted > 0.5 else ""
        case Kind.RANKING, tuple(order):
            return f"place {order.index(place) + 1} of {len(order)}"
        case Kind.LIKE, bool(liked):
            return "liked" if liked else "disliked"
        case Kind.RATING, int(rating):
            return f"rated {rating} of {HIGHEST_RATING}"
    return ""


@cache
def _strip() -> Any:
    return st.components.v2.component(
        "prefrl_clips",
        html='<div class="clip-strip"></div>',
        css=(ASSETS / "clips.css").read_text(encoding="utf-8"),
        js=START,
    )
