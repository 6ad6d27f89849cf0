"""The page about those who answer: pace, habits, agreement, how far each counts, and erasing one."""

from __future__ import annotations

import numpy as np
import streamlit as st

from prefrl.errors import UsageError
from prefrl.feedback import RemarkKind
from prefrl.labellers.quality import expected_values
from prefrl.labellers.statistics import LabellingStatistics, labelling_statistics
from prefrl.labellers.weights import labeller_weights
from ui.choice import choose_run
from ui.here import workplace
from ui.labeller_decisions import SAID, erase, show_decisions, weigh
from ui.labeller_tables import show_agreement, show_labellers
from ui.refusals import Refusal
from ui.visitors import researchers_only
from ui.words import plain
from ui.workplace import RunView

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
    if (said := st.session_state.pop(SAID, None)) is not None:
        st.success(plain(said))
    weights = labeller_weights(view.store.remarks(view.store_name, kind=RemarkKind.WEIGHT))
    show_labellers(found, weights)
    show_agreement(found)
    names = [one.labeller for one in found.labellers]
    left, right = st.columns(2, gap="large")
    with left:
        weigh(view, names, weights)
    with right:
        erase(view, names)
    show_decisions(view)


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
