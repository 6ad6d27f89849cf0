"""The page on how far a run's learned reward can be trusted."""

from __future__ import annotations

import math

import streamlit as st

from prefrl.calibration import calibration
from prefrl.diagnostics import Diagnostics, FreshAnswer, read_diagnostics
from prefrl.statistics import wilson_interval
from ui import diagnostic_charts as charts
from ui.charts import Chart, Line, draw
from ui.choice import choose_run
from ui.compared_clips import compared_clips
from ui.here import workplace
from ui.refusals import Refusal
from ui.words import plain
from ui.workplace import RunView

HEIGHT = 260
BINS = 10


def diagnostics_page() -> None:
    """What every session of a run has found out about its learned reward."""
    st.header(
        "Diagnostics", help="How far the learned reward can be trusted: judged on answers it has not seen."
    )
    run = _choose()
    if run is None:
        return
    found = read_diagnostics(run.path)
    for problem in found.problems:
        st.warning(plain(problem))
    if not found.sessions:
        st.write(
            "This run has nothing to show yet: a first look comes when its reward has been fitted once and "
            "more answers have come in."
        )
        return
    _alarm(found)
    _figures(found)
    for parts in (
        (lambda: _agreement(found), lambda: _calibration(found)),
        (lambda: _returns(run, found), lambda: _disagreement(found)),
    ):
        for place, part in zip(st.columns(2), parts, strict=True):
            with place:
                part()
    _history(found)
    compared_clips(run, found.sessions[-1])


def _choose() -> RunView | None:
    """A run that learns its reward, kept in the address."""
    names = []
    for name in workplace().training_names():
        try:
            if workplace().run(name).settings.get("reward") == "learned":
                names.append(name)
        except Refusal as refusal:
            st.warning(f"{plain(name)}: {plain(refusal.reason)}")
    chosen = choose_run(names)
    if chosen is None:
        st.write("No run here learns its reward from comparisons. Start one:")
        st.code("prefrl train half-cheetah", language="sh")
        return None
    return workplace().run(chosen)


def _alarm(found: Diagnostics) -> None:
    """Whether the alarm has rung, in a sentence."""
    newest = found.sessions[-1]
    rang = next((one for one in found.sessions if one.rang), None)
    if rang is not None:
        st.error(
            f"**The alarm for reward hacking rang at step {rang.step:,}.** The learned reward promised that "
            "behaviour was getting better, and fresh answers said otherwise. The most suspicious clips are "
            "asked about next. Look at the newest ones below: does the agent do what you want, or only what "
            "looks like it?",
            icon=":material/notifications_active:",
        )
    elif math.isinf(newest.threshold):
        st.info(
            "Nobody listens for reward hacking here: query.hacking_alarm is off, or single clips are judged.",
            icon=":material/notifications_off:",
        )
    else:
        st.success(
            f"No sign of reward hacking. The alarm rings at {newest.threshold:,.0f} and stands at "
            f"{newest.evidence:.2g}: it grows while fresh answers contradict what the reward is sure of.",
            icon=":material/notifications:",
        )


def _figures(found: Diagnostics) -> None:
    """The run in four numbers."""
    newest, answers = found.sessions[-1], _recent(found)
    decided = [one for one in answers if one.given != 0.5]
    right = sum((one.predicted > 0.5) == (one.given > 0.5) for one in decided)
    interval = wilson_interval(right, len(decided))
    columns = st.columns(4)
    columns[0].metric(
        "Fresh agreement",
        "–" if not decided else f"{interval.estimate:.0%}",
        help=f"Of the {len(decided)} newest answers, predicted before they were fitted; 95% interval "
        f"{interval.lower:.0%} to {interval.upper:.0%}. Most queries are about what it is unsure of.",
    )
    table = calibration([one.predicted for one in answers], [one.given for one in answers], bins=BINS)
    columns[1].metric(
        "Calibration error",
        "–" if math.isnan(table.expected_error) else f"{table.expected_error:.2f}",
        help="How far predicted preferences are from the share of answers, on average: 0 is perfect.",
    )
    columns[2].metric(
        "Rank correlation",
        "–" if newest.correlation is None else f"{newest.correlation:.2f}",
        help="Spearman's, of learned and true return over fresh segments: 1 is perfect.",
    )
    columns[3].metric(
        "Predicted rise",
        "–" if newest.rise is None else f"{newest.rise:+.0%}",
        help="How much oftener than not the newest behaviour is predicted to beat earlier behaviour.",
    )


def _agreement(found: Diagnostics) -> None:
    rows = charts.agreement_rows(found.sessions)
    draw(charts.agreement_chart(rows), key="agreement", height=HEIGHT)
    if rows:
        charts.show_table(rows)


def _calibration(found: Diagnostics) -> None:
    answers = [one for session in found.sessions for one in session.answers]
    st.markdown("**Calibration**", help="What was predicted, and what was answered, on all fresh answers.")
    if not answers:
        st.caption("No fresh answer has been judged yet.")
        return
    table = calibration([one.predicted for one in answers], [one.given for one in answers], bins=BINS)
    rows = charts.calibration_rows(table)
    words = f"Answered against predicted preference; expected calibration error {table.expected_error:.2f}."
    st.vega_lite_chart(
        charts.calibration_chart(rows), height=HEIGHT, width="stretch", key="calibration", alt=words
    )
    charts.show_table(rows)


def _returns(run: RunView, found: Diagnostics) -> None:
    """Learned against true return; hidden at first where people label, who should not be led by it."""
    session = next((one for one in reversed(found.sessions) if one.points), None)
    st.markdown("**Learned and true return** of fresh segments")
    if session is None:
        st.caption("Nothing to draw yet.")
        return
    people = run.labelled_by_people
    if people and not st.toggle("Show true returns", help="Not while you label: they would answer for you."):
        st.caption("Hidden, because people label this run.")
        return
    correlation = "unknown" if session.correlation is None else f"{session.correlation:.2f}"
    words = f"Learned over true return of {len(session.points)} segments; rank correlation {correlation}."
    rows = charts.return_rows(session)
    st.vega_lite_chart(rows, charts.return_chart(), height=HEIGHT, width="stretch", key="returns", alt=words)
    st.caption(f"{words} Session at step {session.step:,}.")
    charts.show_table(rows)


def _disagreement(found: Diagnostics) -> None:
    known = [(one.step, one.disagreement) for one in found.sessions if one.disagreement is not None]
    steps, variance = zip(*known, strict=True) if known else ((), ())
    chart = Chart(
        "Disagreement of the ensemble",
        {"disagreement": Line(steps, variance)},
        y_title="variance",
        help="Variance over members of the predicted preference between fresh segments, 0 to 0.25.",
    )
    draw(chart, key="disagreement", height=HEIGHT)
    if known:
        charts.show_table([{"step": step, "disagreement": one} for step, one in known])


def _history(found: Diagnostics) -> None:
    """How the alarm has stood at every session."""
    rows = charts.alarm_rows(found.sessions)
    if not rows:
        return
    st.markdown(
        "**The alarm's history**",
        help="The evidence that the reward promises what answers do not bear out: it grows while fresh "
        "answers contradict confident predictions, and shrinks while they confirm them. The alarm rings at "
        "the dotted line, where behaviour was predicted to get better of late.",
    )
    newest = rows[-1]
    words = (
        f"Evidence over steps; {newest['evidence']:.2g} now, the alarm rings at {newest['rings at']:,.0f}."
    )
    chart = charts.alarm_chart()
    st.vega_lite_chart(rows, chart, height=HEIGHT, width="stretch", key="alarm", alt=words)
    charts.show_table(rows)


def _recent(found: Diagnostics) -> list[FreshAnswer]:
    """The fresh answers of the last few sessions."""
    return [one for session in found.sessions[-charts.SMOOTHED :] for one in session.answers]
