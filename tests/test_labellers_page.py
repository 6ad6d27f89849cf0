"""The page of labellers: figures, decisions on record, erasure that needs the name twice."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import make_run
from test_watching_pages import opened, runs, words  # noqa: F401 - a fixture among them

from prefrl.access import Role, grant_access
from prefrl.feedback import Answer, Kind, Purpose, Query, RemarkKind, Source
from prefrl.labellers.quality import expectation
from prefrl.labellers.statistics import labelling_statistics
from prefrl.labellers.weights import labeller_weights
from prefrl.store.feedback_store import FeedbackStore
from ui import here, visitors
from ui.csv_text import csv_text
from ui.labeller_tables import labeller_rows

FORMULA = '=HYPERLINK("//evil.example")'


@pytest.fixture(autouse=True)
def _fresh_door() -> None:
    visitors.door.clear()


def labellers_page() -> Any:
    def script() -> None:
        from ui.page_labellers import labellers_page

        labellers_page()

    return opened(script)


def fill(folder: Path, names: tuple[str, ...] = ("ada", "bob")) -> Path:
    """A run in which each of these people has answered the same 30 pairs and two gold ones."""
    path = make_run(folder / "mine")
    queries = [
        Query(
            f"q{number}", "mine", Kind.PAIR, (f"l{number}", f"r{number}"), counter=number,
            purpose=Purpose.TRAINING if number < 30 else Purpose.GOLD,
        )
        for number in range(32)
    ]  # fmt: skip
    answers = [
        Answer(
            f"{name}-{query.id}", query.id, 1.0 if query.counter % (place + 2) else 0.0, Source.PERSON, name,
            seconds=2.0 + place, shown=(0, 1),
        )
        for place, name in enumerate(names)
        for query in queries
    ]  # fmt: skip
    with FeedbackStore(path / "feedback.sqlite") as store:
        store.add([*queries, *(expectation(query, 1.0, seed=0) for query in queries[30:]), *answers])
    return path


def test_where_nobody_has_answered_the_page_says_so(runs: Path) -> None:  # noqa: F811
    assert "no run here yet" in words(labellers_page())
    path = make_run(runs / "mine")
    FeedbackStore(path / "feedback.sqlite").close()
    assert "Nobody has answered" in words(labellers_page())


def test_a_damaged_store_is_named(runs: Path) -> None:  # noqa: F811
    path = make_run(runs / "mine")
    (path / "feedback.sqlite").write_bytes(b"no database" * 1000)
    page = labellers_page()
    assert "cannot be used" in page.error[0].value
    assert not page.exception


def test_figures_stand_with_their_intervals(runs: Path) -> None:  # noqa: F811
    fill(runs)
    page = labellers_page()
    assert not page.exception
    ada, bob = page.dataframe[0].value.to_dict("records")
    assert (ada["Labeller"], ada["Answers"], ada["Time"]) == ("ada", 32, "2.0 s (2.0–2.0)")
    assert ada["Gold"] == "50% (9–91)"
    assert (ada["Left"], ada["Equal"], ada["Consistency"]) == ("50% (34–66)", "0% (0–11)", "–")
    assert bob["Weight"] == 1.0
    (shared,) = page.dataframe[1].value.to_dict("records")
    assert (shared["One"], shared["Other"], shared["Pairs"]) == ("ada", "bob", 32)
    assert "Krippendorff" in words(page)


def test_a_weight_is_recorded_and_shown(runs: Path) -> None:  # noqa: F811
    path = fill(runs)
    page = labellers_page()
    page.selectbox[1].set_value("bob")
    page.slider[0].set_value(0.25)
    page.button[0].click().run()
    assert not page.exception
    with FeedbackStore(path / "feedback.sqlite") as store:
        assert labeller_weights(store.remarks("mine")) == {"bob": 0.25}
    assert page.dataframe[0].value.to_dict("records")[1]["Weight"] == 0.25
    assert page.dataframe[2].value.to_dict("records")[0]["About"] == "bob"


def test_erasing_needs_the_name_twice(runs: Path) -> None:  # noqa: F811
    path = fill(runs)
    page = labellers_page()
    page.selectbox[2].set_value("bob")
    page.text_input[0].set_value("ada")
    page.button[1].click().run()
    assert "nothing was erased" in page.error[0].value
    page.selectbox[2].set_value("bob")
    page.text_input[0].set_value("bob")
    page.button[1].click().run()
    assert not page.exception
    assert [row["Labeller"] for row in page.dataframe[0].value.to_dict("records")] == ["ada"]
    with FeedbackStore(path / "feedback.sqlite") as store:
        assert {one.labeller for one in store.answers("mine")} == {"ada"}
        assert len(store.remarks("mine", kind=RemarkKind.ERASURE)) == 1
    assert b"bob-q" not in (path / "feedback.jsonl").read_bytes()


def test_a_name_is_neither_markdown_nor_a_formula(runs: Path) -> None:  # noqa: F811
    path = fill(runs, (FORMULA, "![x](http://evil.example/x.png)"))
    page = labellers_page()
    assert not page.exception
    assert page.dataframe[0].value.to_dict("records")[0]["Labeller"] in (
        FORMULA,
        "![x](http://evil.example/x.png)",
    )
    assert "![x](http" not in words(page)
    with FeedbackStore(path / "feedback.sqlite") as store:
        found = labelling_statistics(store.answer_table("mine"), {}, rng=np.random.default_rng(0))
    rows = list(csv.DictReader(io.StringIO(csv_text(labeller_rows(found, {})))))
    assert f"'{FORMULA}" in {row["labeller"] for row in rows}
    assert {row["answers"] for row in rows} == {"32"}


def test_without_a_session_the_page_says_so_and_shows_nothing(runs: Path) -> None:  # noqa: F811
    fill(runs)
    grant_access(runs, "Ada", Role.LABELLER)
    page = labellers_page()
    assert "Your session is over" in page.warning[0].value
    assert len(page.dataframe) == 0
    here.workplace()
