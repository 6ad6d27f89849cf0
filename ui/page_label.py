"""The page to answer on: who answers, which run, and the player with its keys."""

from __future__ import annotations

import getpass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from prefrl.errors import UsageError
from prefrl.feedback_checks import check_name
from prefrl.texts.response_files import TASK
from ui.here import workplace
from ui.instructions import instructions_for, is_game
from ui.refusals import Refusal
from ui.visitors import visitor

ASSETS = Path(__file__).parent / "assets"
STYLES = ("label.css", "kinds.css", "text.css")
LOCKOUT_MILLISECONDS = 150
START = """
export default function (component) {
  const { parentElement, data } = component;
  const address = new URL("/prefrl/assets/label.js", window.location.origin).href;
  const left = import(address).then((page) => page.mount(parentElement, data));
  return () => left.then((leave) => leave());
}
"""


def label_page() -> None:
    """Everything around the player; the player itself talks to the server by its own routes."""
    runs = labelled_runs()
    if not runs:
        st.header("Nothing to label yet")
        st.write("No run here is answered by people. Start one, and its first pairs appear here:")
        st.code("prefrl train half-cheetah --teacher human --labels 200 --run runs/mine", language="sh")
        return
    run, labeller = _choose(runs)
    if run is None or labeller is None:
        return
    try:
        view = workplace().run(run)
    except Refusal as refusal:
        st.error(refusal.reason)
        return
    instructions = instructions_for(view.task, view.kind)
    _player()(
        key=f"player {run} {labeller}",
        data={
            "run": run,
            "labeller": labeller,
            "lockout": st.session_state.get("lockout", LOCKOUT_MILLISECONDS),
            "game": is_game(view.task),
            "text": view.task == TASK,
            "kind": view.kind,
            "clips": view.clips,
            "task": view.task,
            "instructions": instructions.text,
            "version": instructions.version,
        },
    )


def labelled_runs() -> list[str]:
    """The runs that people answer, those that have ended last."""
    found = []
    for name in workplace().names():
        try:
            run = workplace().run(name)
        except Refusal:
            continue
        if run.labelled_by_people:
            found.append((run.finished, name))
    return [name for _, name in sorted(found)]


def _choose(runs: list[str]) -> tuple[str | None, str | None]:
    """The run and the labeller, kept in the address so that a reload or a bookmark comes back to them."""
    left, middle, right = st.columns([3, 2, 1], vertical_alignment="bottom")
    asked = st.query_params.get("run")
    run = left.selectbox("Run", runs, index=runs.index(asked) if asked in runs else 0)
    name = _name(middle)
    right.number_input(
        "Lockout (ms)",
        min_value=0,
        max_value=2000,
        value=LOCKOUT_MILLISECONDS,
        step=50,
        key="lockout",
        help="Keys are ignored for so long after a new pair appears; 0 turns it off.",
    )
    try:
        check_name("your name", name.strip())
    except UsageError as error:
        st.warning(str(error))
        return run, None
    st.query_params.update({"run": run or "", "labeller": name.strip()})
    return run, name.strip()


def _name(place: Any) -> str:
    """Who answers: whoever has signed in, or else a name to be typed."""
    if (here := visitor()) is not None:
        place.text_input("Your name", value=here.name, disabled=True)
        return here.name
    return str(place.text_input("Your name", value=st.query_params.get("labeller", _user()), max_chars=200))


@cache
def _player() -> Any:
    return st.components.v2.component(
        "prefrl_label",
        html=(ASSETS / "label.html").read_text(encoding="utf-8"),
        css="".join((ASSETS / name).read_text(encoding="utf-8") for name in STYLES),
        js=START,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "labeller"
