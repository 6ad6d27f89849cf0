"""The page to start a run on: a task, who teaches, how long; everything else is the task's own preset."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui.here import catalogue, run_control, workplace
from ui.page_training import training_page
from ui.refusals import Refusal
from ui.run_request import RANGES, Catalogue, RunRequest
from ui.words import plain

REWARDS = {
    "learned": "Learned from comparisons",
    "true": "The true reward (baseline)",
    "constant": "Always zero (control)",
}
TEACHERS = {
    "oracle": "Oracle: compares true returns",
    "human": "People, in this browser",
    "mistake": "Makes mistakes",
    "noisy": "Noisy",
    "skip": "Skips what looks poor",
    "myopic": "Sees mostly the clip's end",
    "equal": "Calls close pairs equal",
    "shuffled": "Shuffled answers (control)",
}


def start_page() -> None:
    """The form; a run that has been started is watched on the page Training."""
    st.header("New run")
    st.write("A run is a process of its own: it goes on when this page or the whole app is closed.")
    if workplace().is_one_run:
        st.info("This app shows a single run. To start others, serve a folder of runs: `prefrl label runs`.")
        return
    try:
        with st.spinner("Asking for the list of tasks …"):
            found = catalogue()
    except Refusal as refusal:
        st.error(refusal.reason)
        return
    request = _form(found)
    if st.button("Start", icon=":material/play_arrow:"):
        try:
            name = run_control().start(request, found)
        except Refusal as refusal:
            st.error(refusal.reason)
        else:
            st.session_state["started"] = name
    _news()


def _form(found: Catalogue) -> RunRequest:
    """What is asked for now; the budgets start from the task's preset."""
    left, right = st.columns(2)
    task = left.selectbox(
        "Task",
        list(found.tasks),
        format_func=lambda name: f"{name} · {found.tasks[name].kind}" if name in found.tasks else name,
        help="Every other ALE game and Gymnasium id can be trained from a terminal: prefrl train TASK.",
    )
    reward = right.selectbox(
        "The agent learns from", found.rewards, format_func=lambda name: REWARDS.get(name, name)
    )
    task, reward = task or "", reward or ""
    start = found.tasks.get(task)
    teacher, labels = "oracle", start.labels if start else RANGES["labels"][0]
    places = dict(zip(("steps", "labels", "seed"), st.columns(3), strict=True))
    if reward == "learned":
        teacher = (
            left.selectbox("Teacher", found.teachers, format_func=lambda name: TEACHERS.get(name, name)) or ""
        )
        labels = _number(places, "labels", labels, task, step=50, help="Answers; skips count, too.")
    steps = start.steps if start else RANGES["steps"][0]
    steps = _number(places, "steps", steps, task, step=50_000, help="Decisions of the agent.")
    seed = _number(places, "seed", 0, task, step=1, help="Equal settings and seed give equal runs.")
    return RunRequest(task=task, reward=reward, teacher=teacher, steps=steps, labels=labels, seed=seed)


def _number(places: dict[str, Any], name: str, value: int, task: str, *, step: int, help: str) -> int:
    low, high = RANGES[name]
    # The task in the key: another task starts from its own budgets.
    given = places[name].number_input(
        name.capitalize(),
        min_value=low,
        max_value=high,
        value=value,
        step=step,
        key=f"{name} {task}",
        help=help,
    )
    return int(given)


@st.fragment(run_every=2.0)
def _news() -> None:
    """What has become of the runs that were started here."""
    control, names = run_control(), workplace().names()
    for name, said in control.failures().items():
        st.error(f"{plain(name)} could not begin.")
        st.code(said, language=None)
    started = st.session_state.get("started")
    if started in names:
        del st.session_state["started"]
        page = st.Page(training_page, title="Training", url_path="training")
        st.switch_page(page, query_params={"run": started})
    for name in control.new_names():
        st.info(f"{plain(name)} is starting …")
