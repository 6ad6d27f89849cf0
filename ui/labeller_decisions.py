"""What is decided about a run's labellers, on record: how far answers count, and erasing somebody's."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from prefrl.errors import UsageError
from prefrl.feedback import RemarkKind
from prefrl.labellers.weights import FULL_WEIGHT, set_weight
from prefrl.store.backups import erase_everywhere
from ui.visitors import visitor
from ui.words import plain
from ui.workplace import RunView

SAID = "labellers said"
"""Where the session keeps what was decided until the page has said it."""


def weigh(view: RunView, names: Sequence[str], weights: Mapping[str, float]) -> None:
    """A form that sets how far somebody's answers count."""
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


def erase(view: RunView, names: Sequence[str]) -> None:
    """A form that erases what somebody has said, which takes their name twice."""
    st.subheader("Erase")
    with st.form("erase", border=False, clear_on_submit=True):
        who = st.selectbox("Labeller", names)
        typed = st.text_input("Type the name again", help="There is no way back.")
        if st.form_submit_button("Erase all answers") and who is not None:
            if typed != who:
                st.error("The names differ: nothing was erased.")
                return
            _decide(
                lambda: erase_everywhere(view.store, who, by=_decider(), now=time.time()),
                "Erased from the store, its journal and its back-ups. Exports, copies made elsewhere and the "
                "list of access are not touched; the present reward was learned from the answers, too.",
            )


def _decide(act: Callable[[], object], said: str) -> None:
    """Does what was decided, and shows the page anew."""
    try:
        act()
    except UsageError as problem:
        st.error(plain(str(problem)))
        return
    st.session_state[SAID] = said
    st.rerun()


def show_decisions(view: RunView) -> None:
    """Every weight and erasure that is on record."""
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
