"""The page that lists the runs: what each is, how far it is, what it is doing."""

from __future__ import annotations

from typing import Any

import streamlit as st

from prefrl.errors import UsageError
from prefrl.runs.log import RunFolder
from ui.here import workplace
from ui.refusals import Refusal
from ui.sentences import describe
from ui.workplace import RunView


def runs_page() -> None:
    """A table of every run in the folder, looked at again every few seconds."""
    st.header("Runs")
    _table()


@st.fragment(run_every=3.0)
def _table() -> None:
    rows = [_row(name) for name in workplace().names()]
    if not rows:
        st.write("There is no run here yet: start one on the page *New run*, or in a terminal:")
        st.code("prefrl train half-cheetah", language="sh")
        return
    st.dataframe(rows, hide_index=True, width="stretch", placeholder="–")


def _row(name: str) -> dict[str, Any]:
    try:
        run = workplace().run(name)
        return {"run": name, **_numbers(run)}
    except Refusal as refusal:
        return {"run": name, "state": f"cannot be read: {refusal.reason}"}
    except UsageError as error:
        return {"run": name, "state": f"cannot be read: {error}"}


def _numbers(run: RunView) -> dict[str, Any]:
    learned = run.settings.get("reward") == "learned"
    labels = run.store.counts(run.store_name).labels if learned else 0
    status, summary = run.status, RunFolder.open(run.path).read_summary() or {}
    return {
        "task": run.settings.get("task"),
        "reward": run.settings.get("reward"),
        "teacher": run.settings.get("teacher") if learned else None,
        "seed": run.settings.get("seed"),
        "steps": status.step if status else summary.get("steps"),
        "of": run.settings.get("steps"),
        "labels": labels if learned else None,
        "budget": run.settings.get("labels") if learned else None,
        "true return": summary.get("true_return_mean"),
        "state": describe(run, labels=labels)[1],
    }
