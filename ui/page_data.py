"""The page to take a run's answers out, bring others in, check the store and back it up."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from prefrl.errors import UsageError
from prefrl.store.backups import list_backups, make_backup
from prefrl.store.exports import json_lines, preference_rows, read_any_records, write_records
from prefrl.store.health import check_store
from ui.choice import choose_run
from ui.here import workplace
from ui.refusals import Refusal
from ui.visitors import researchers_only
from ui.words import plain
from ui.workplace import STORE, RunView

FORMS = {
    "jsonl": ("JSON lines", "All records with their provenance, a line each, as in the journal."),
    "json": ("JSON", "The same records in one array."),
    "parquet": ("Parquet", "The same records as a table, for pandas and others."),
}
MOST_PROBLEMS = 20


def data_page() -> None:
    """One run's data; runs without a store have none."""
    researchers_only()
    st.header("Data")
    name = choose_run(workplace().names())
    if name is None:
        st.write("There is no run here yet, and so no answers.")
        return
    try:
        view = workplace().run(name)
        counts = view.store.counts(view.store_name)
    except (Refusal, UsageError) as problem:
        st.error(plain(str(problem)))
        st.write("If there is a journal beside the store, it can be made again from it:")
        st.code(f"prefrl data rebuild {workplace().folder / name}", language="sh")
        return
    st.write(f"{counts.queries:,} queries, {counts.labels:,} labels, {counts.skips:,} skips.")
    if (said := st.session_state.pop("data said", None)) is not None:
        st.success(plain(said))
    left, right = st.columns(2, gap="large")
    with left:
        _export(view)
        _import(view)
    with right:
        _check(view)
        _back_up(view)


def _export(view: RunView) -> None:
    st.subheader("Export")
    with st.container(horizontal=True):
        for form, (title, explanation) in FORMS.items():
            _download(title, f"{view.path.name}.{form}", partial(_written, view, form), explanation)
        if view.is_text:
            for part, (title, explanation) in enumerate(
                (
                    ("Preferences", "Prompt, chosen and rejected, a JSON line each."),
                    ("Equal", "Answers that call both texts equal, which fit no such line."),
                )
            ):
                _download(
                    title,
                    f"{view.path.name}.{title.lower()}.jsonl",
                    partial(_preferences, view, part),
                    explanation,
                )
    st.caption("The names of labellers are in these files: take care of them, and of whom you erase.")


def _download(title: str, file: str, content: Callable[[], bytes], explanation: str) -> None:
    st.download_button(
        title,
        data=content,
        file_name=file,
        mime="application/octet-stream",
        icon=":material/download:",
        on_click="ignore",
        help=explanation,
    )


def _preferences(view: RunView, part: int) -> bytes:
    return json_lines(preference_rows(view.store, view.store_name, view.responses())[part])


def _written(view: RunView, form: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        write_records(view.store.records(), path, form=form)
        return path.read_bytes()


def _import(view: RunView) -> None:
    st.subheader("Import")
    with st.form("import", border=False, clear_on_submit=True):
        given = st.file_uploader("An export or a journal", type=["jsonl", "json"])
        if st.form_submit_button("Take in") and given is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / ("given.jsonl" if given.name.endswith("l") else "given.json")
                path.write_bytes(given.getvalue())
                _take_in(view, path)
    st.caption("What is new is added, what is known is left. Parquet and Uni-RLHF: prefrl data import.")


def _take_in(view: RunView, path: Path) -> None:
    try:
        intake = view.store.take_in(read_any_records(path))
    except UsageError as problem:
        st.error(plain(str(problem).replace(str(path), "the file")))
        return
    st.write(f"{intake.added:,} records added, {intake.known:,} known already.")
    if intake.problems:
        st.error(f"{len(intake.problems):,} were not taken:")
        st.text("\n".join(intake.problems[:MOST_PROBLEMS]))


def _check(view: RunView) -> None:
    st.subheader("Check")
    st.write("Whether the database is intact, every record makes sense, and the journal agrees.")
    if st.button("Check now"):
        found = check_store(view.path / STORE)
        if not found:
            st.success("Nothing is wrong with the store and its journal.")
        for finding in found:
            st.error(plain(finding))


def _back_up(view: RunView) -> None:
    st.subheader("Back up")
    if st.button("Back up now"):
        try:
            path = make_backup(view.store, now=time.time())
        except UsageError as problem:
            st.error(plain(str(problem)))
            return
        st.session_state["data said"] = f"{path.name} is written and was read back."
        st.rerun()
    made = list_backups(view.store)
    if not made:
        st.write("There is no back-up yet.")
        return
    st.dataframe(
        [{"Back-up": path.name, "KiB": round(path.stat().st_size / 1024, 1)} for path in reversed(made)],
        hide_index=True,
        width="stretch",
    )
    st.caption("To make the store again from one of them:")
    st.code(f"prefrl data rebuild {view.path} --source {made[-1]}", language="sh")
