"""The page to watch a run on: what it does, its curves as they grow, its latest clips; stop it, resume it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from prefrl.errors import UsageError
from ui.charts import Chart, Line, draw
from ui.choice import choose_run
from ui.here import feeds, run_control, workplace
from ui.latest_clips import latest_clips, show_clips
from ui.metrics_feed import Point
from ui.refusals import Refusal
from ui.run_control import last_words
from ui.situation import Situation, goes_on, look_at
from ui.words import plain
from ui.workplace import RunView

Series = Mapping[str, Sequence[Point]]
LIVE_SECONDS, QUIET_SECONDS = 3.0, 20.0
"""Time between two looks at a run that goes on, and at one that does not."""
HEADLINES = {
    "training": ":green-badge[training]",
    "starting": ":blue-badge[starting]",
    "waiting": ":orange-badge[waiting]",
    "stopping": ":blue-badge[stopping]",
    "finished": ":gray-badge[finished]",
    "stopped": ":gray-badge[stopped]",
    "failed": ":red-badge[failed]",
    "lost": ":red-badge[gone]",
    "unknown": ":gray-badge[unknown]",
}
TABLE_ROWS = 50


def training_page() -> None:
    """One run, looked at every few seconds."""
    st.header("Training")
    name = choose_run(workplace().training_names())
    if name is None:
        st.write("There is no run here yet: start one on the page *New run*, or in a terminal:")
        st.code("prefrl train half-cheetah", language="sh")
        return
    try:
        going_on = goes_on(workplace().run(name), run_control())
    except Refusal as refusal:
        st.error(refusal.reason)
        return
    st.fragment(_watch, run_every=LIVE_SECONDS if going_on else QUIET_SECONDS)(name, going_on)


def charts_of(series: Series, situation: Situation, settings: Mapping[str, Any]) -> list[Chart]:
    """The charts of a run, those first that tell most; a chart without numbers says so itself."""
    learned = settings.get("reward") == "learned"
    untrained = situation.summary.get("untrained_return_mean")
    charts = [
        _chart(
            series,
            "True return",
            {"true_return": "true return"},
            "Mean score of recent training episodes; an agent on a learned reward never sees it.",
            marks={untrained: "untrained"} if isinstance(untrained, float) else {},
        )
    ]
    if learned:
        charts += [
            _chart(
                series,
                "Learned return",
                {"learned_return": "learned return"},
                "What the agent is trained on, in the learned reward's own units, which move with every fit.",
            ),
            _chart(
                series,
                "Agreement",
                {"held_out_agreement": "held-out labels", "agreement": "true reward"},
                "Share predicted right: of the labels that each network's bag left out, and of fresh pairs "
                "judged by true return, which only this page sees.",
                limits=(0.0, 1.0),
                marks={0.5: "chance"},
            ),
            _chart(
                series,
                "Labels",
                {"labels": "given", "labels_due": "due by the schedule"},
                "Labels that count, and those that the schedule has asked for by then.",
            ),
        ]
    return [*charts, _chart(series, "Speed", {"steps_per_second": "steps/s"}, "Everything included.")]


def _watch(name: str, going_on: bool) -> None:
    try:
        view = workplace().run(name)
    except Refusal as refusal:
        st.error(refusal.reason)
        return
    situation = look_at(view, run_control())
    if situation.going_on != going_on:
        st.rerun()  # look more often from now on, or less
    _headline(view, situation)
    try:
        series: Series = feeds().of(view.path).look()
    except UsageError as error:
        st.error(str(error))
        series = {}
    _figures(series, situation)
    _grid(charts_of(series, situation, view.settings), name)
    _clips(view)
    if st.toggle("Show the numbers", key=f"numbers {name}"):
        st.dataframe(table(series), hide_index=True, width="stretch")


def _headline(view: RunView, situation: Situation) -> None:
    """What the run is doing in words, and the buttons that change it."""
    words, buttons = st.columns([5, 1], vertical_alignment="center")
    badge = HEADLINES.get(situation.state, HEADLINES["unknown"])
    words.markdown(f"{badge} **{plain(situation.sentence)}** {plain(situation.answers)}")
    control = run_control()
    if control.stopping(view):
        buttons.button("Stopping …", key=f"stopping {view.name}", disabled=True, width="stretch")
    elif control.can_stop(view):
        buttons.button(
            "Stop", key=f"stop {view.name}", on_click=_try, args=(control.stop, view.name), width="stretch",
            help="It finishes the rollout it is in, saves itself, and can be resumed.",
        )  # fmt: skip
    elif control.can_resume(view):
        buttons.button(
            "Resume", key=f"resume {view.name}", on_click=_try, args=(control.resume, view.name),
            width="stretch", help="It goes on from where it was saved last.",
        )  # fmt: skip
    if refused := st.session_state.pop("refused", None):
        st.warning(refused)
    if situation.problem:
        st.error(plain(situation.problem))
    if situation.state in {"lost", "failed"} and (said := last_words(view.path)):
        with st.expander("What the process said last"):
            st.code(said, language=None)
    if situation.steps:
        share = min(1.0, situation.step / situation.steps)
        st.progress(share, text=f"{situation.step:,} of {situation.steps:,} steps")


def _try(act: Callable[[str], None], name: str) -> None:
    """Does what a button says; a refusal is shown at the next look."""
    try:
        act(name)
    except Refusal as refusal:
        st.session_state["refused"] = refusal.reason


def _figures(series: Series, situation: Situation) -> None:
    """The newest numbers."""
    newest = {name: points[-1][1] for name, points in series.items() if points}
    final = situation.summary.get("true_return_mean")
    shown = [("True return", f"{newest['true_return']:,.4g}" if "true_return" in newest else "–")]
    if isinstance(final, int | float):
        shown = [("Final true return", f"{final:,.4g}")]
    if situation.budget:
        held_out = newest.get("held_out_agreement")
        shown += [
            ("Learned return", f"{newest['learned_return']:,.4g}" if "learned_return" in newest else "–"),
            ("Held-out agreement", "–" if held_out is None else f"{held_out:.0%}"),
            ("Labels", f"{situation.labels:,} of {situation.budget:,}"),
        ]
    speed = newest.get("steps_per_second")
    shown.append(("Steps/s", "–" if speed is None else f"{speed:,.0f}"))
    with st.container(horizontal=True, gap="medium"):
        for label, value in shown:
            st.metric(label, value, width="content")


def _grid(charts: Sequence[Chart], name: str) -> None:
    places = [place for _ in range(0, len(charts), 2) for place in st.columns(2)]
    for chart, place in zip(charts, places, strict=False):
        with place:
            draw(chart, key=f"{chart.title} {name}")


def _clips(view: RunView) -> None:
    if view.settings.get("reward") != "learned":
        return
    st.markdown("**Latest clips**", help="What the teacher was asked about last. A click pauses them.")
    try:
        clips = latest_clips(view)
    except UsageError as error:
        st.error(str(error))
        return
    if clips:
        show_clips(view, clips)
    else:
        st.caption("Nothing has been asked yet.")


def table(series: Series) -> list[dict[str, float]]:
    """The newest points of all series, one row per step."""
    rows: dict[int, dict[str, float]] = {}
    for name, points in series.items():
        for step, value in points:
            rows.setdefault(step, {"step": step})[name] = value
    return [rows[step] for step in sorted(rows)[-TABLE_ROWS:]][::-1]


def _chart(series: Series, title: str, names: Mapping[str, str], words: str, **given: Any) -> Chart:
    lines = {
        label: Line([step for step, _ in series[name]], [value for _, value in series[name]])
        for name, label in names.items()
        if name in series
    }
    return Chart(title, lines, help=words, **given)
