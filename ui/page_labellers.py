"""The page about those who answer: pace, habits, agreement, how far each counts, and erasing one."""

from __future__ import annotations

import getpass
import math
import time
from typing import Any

import numpy as np
import streamlit as st

from prefrl.bootstrap import Interval
from prefrl.errors import UsageError
from prefrl.feedback import RemarkKind
from prefrl.labellers.quality import expected_values
from prefrl.labellers.statistics import LabellerStatistics, LabellingStatistics, labelling_statistics
from prefrl.labellers.weights import FULL_WEIGHT, labeller_weights, set_weight
from prefrl.store.backups import erase_everywhere
from ui.choice import choose_run
from ui.csv_text import csv_text
from ui.here import workplace
from ui.refusals import Refusal
from ui.visitors import researchers_only, visitor
from ui.words import plain
from ui.workplace import RunView

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
SEED = 0
"""Of the bootstrap: the same answers show the same interval."""


def labellers_page() -> None:
    """A run's labellers; what is decided about them is recorded and holds from the next fit on."""
    researchers_only()
    st.header("Labellers")
    name = choose_run(workplace().names())
    if name is None:
        st.write("There is no run here yet, and so nobody who has answered.")
        return
    try:
        view = workplace().run(name)
        found = _figures_of(view)
    except (Refusal, UsageError) as problem:
        st.error(plain(str(problem)))
        return
    if not found.labellers:
        st.write("Nobody has answered a pair of this run yet.")
        return
    if (said := st.session_state.pop("labellers said", None)) is not None:
        st.success(plain(said))
    weights = labeller_weights(view.store.remarks(view.store_name, kind=RemarkKind.WEIGHT))
    _show_labellers(found, weights)
    _show_agreement(found)
    names = [one.labeller for one in found.labellers]
    left, right = st.columns(2, gap="large")
    with left:
        _weigh(view, names, weights)
    with right:
        _erase(view, names)
    _show_decisions(view)


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


def _figures_of(view: RunView) -> LabellingStatistics:
    journal = view.store.path.with_suffix(".jsonl") if view.store.path else view.path
    status = journal.stat() if journal.exists() else None
    mark = (status.st_mtime_ns, status.st_size) if status else (0, 0)
    return _computed(str(view.path), mark, view)


@st.cache_resource(max_entries=8, show_spinner="Counting answers …")
def _computed(path: str, mark: tuple[int, int], _view: RunView) -> LabellingStatistics:  # noqa: ARG001
    """Computed again once the journal has grown."""
    store, run = _view.store, _view.store_name
    rng = np.random.default_rng(SEED)
    return labelling_statistics(store.answer_table(run), expected_values(store, run), rng=rng)


def _show_labellers(found: LabellingStatistics, weights: dict[str, float]) -> None:
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


def _show_agreement(found: LabellingStatistics) -> None:
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


def _weigh(view: RunView, names: list[str], weights: dict[str, float]) -> None:
    st.subheader("Weigh")
    with st.form("weigh", border=False):
        who = st.selectbox("Labeller", names)
        weight = st.slider(
            "Weight of these answers from the next fit on",
            0.0, 1.0, FULL_WEIGHT, 0.05, help="1 counts fully, 0 leaves them out. The decision is recorded.",
        )  # fmt: skip
        if st.form_submit_button("Record") and who is not None and weight != weights.get(who, FULL_WEIGHT):
            _decide(
                lambda: set_weight(view.store, view.store_name, who, weight, by=_decider()),
                f"From the next fit on, answers of {who} weigh {weight:g}.",
            )


def _erase(view: RunView, names: list[str]) -> None:
    st.subheader("Erase")
    with st.form("erase", border=False, clear_on_submit=True):
        who = st.selectbox("Labeller", names)
        typed = st.text_input("Type the name again", help="There is no way back.")
        if st.form_submit_button("Erase all answers", type="primary") and who is not None:
            if typed != who:
                st.error("The names differ: nothing was erased.")
                return
            _decide(
                lambda: erase_everywhere(view.store, who, by=_decider(), now=time.time()),
                "Erased from the store, its journal and its back-ups. Exports, copies made elsewhere and the "
                "list of access are not touched; the present reward was learned from the answers, too.",
            )


def _decide(act: Any, said: str) -> None:
    """Does what was decided, and shows the page anew."""
    try:
        act()
    except UsageError as problem:
        st.error(plain(str(problem)))
        return
    st.session_state["labellers said"] = said
    st.rerun()


def _show_decisions(view: RunView) -> None:
    made = [
        remark
        for remark in view.store.remarks(view.store_name)
        if remark.kind in (RemarkKind.WEIGHT, RemarkKind.ERASURE)
    ]
    if not made:
        return
    st.subheader("Decisions")
    rows = [
        {
            "When": time.strftime("%Y-%m-%d %H:%M", time.gmtime(one.made_at or 0.0)) + " UTC",
            "What": "weight" if one.kind is RemarkKind.WEIGHT else "erased",
            "About": one.subject,
            "": one.content,
            "By": one.labeller,
        }
        for one in reversed(made)
    ]
    st.dataframe(rows, hide_index=True, width="stretch")


def _decider() -> str:
    """Who decides: whoever has signed in, or the user of this machine."""
    if (here := visitor()) is not None:
        return here.name
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "researcher"


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
