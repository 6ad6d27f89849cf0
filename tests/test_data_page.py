"""The page of data, as Streamlit runs it: exports that come back, checks, back-ups, and damage by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run
from test_labellers_page import fill
from test_watching_pages import opened, runs, words  # noqa: F401 - a fixture among them

from prefrl.access import Role, grant_access
from prefrl.store.feedback_store import FeedbackStore
from prefrl.store.journal import encode_line
from ui import here, page_data, visitors
from ui.here import workplace


@pytest.fixture(autouse=True)
def _fresh_door() -> None:
    visitors.door.clear()


def data_page() -> Any:
    def script() -> None:
        from ui.page_data import data_page

        data_page()

    return opened(script)


def press(page: Any, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()


def test_without_a_run_or_a_store_the_page_says_so(runs: Path) -> None:  # noqa: F811
    assert "no run here yet" in words(data_page())
    make_run(runs / "bare")
    page = data_page()
    assert "there is no store" in page.error[0].value
    assert not page.exception


def test_a_damaged_store_is_named_with_the_command_that_makes_it_again(runs: Path) -> None:  # noqa: F811
    path = fill(runs)
    here.workplace().close()
    (path / "feedback.sqlite").write_bytes(b"no database" * 1000)
    page = data_page()
    assert "cannot be used" in page.error[0].value
    assert page.code[0].value == f"prefrl data rebuild {path}"


def test_counts_checks_and_backups(runs: Path) -> None:  # noqa: F811
    path = fill(runs)
    page = data_page()
    assert not page.exception
    assert "30 queries, 60 labels, 0 skips" in words(page)
    press(page, "Check now")
    assert "Nothing is wrong" in page.success[0].value
    press(page, "Back up now")
    assert not page.exception
    (backup,) = (path / "backups").iterdir()
    assert page.dataframe[0].value["Back-up"].tolist() == [backup.name]
    with (path / "feedback.jsonl").open("a") as journal:
        journal.write("{broken\n")
    press(page, "Check now")
    assert "this is not a record" in page.error[0].value.replace("\\", "")


@pytest.mark.parametrize("form", list(page_data.FORMS))
def test_what_the_page_exports_can_be_taken_in(runs: Path, tmp_path: Path, form: str) -> None:  # noqa: F811
    from prefrl.store.exports import read_any_records

    fill(runs)
    view = workplace().run("mine")
    (tmp_path / f"out.{form}").write_bytes(page_data._written(view, form))
    with FeedbackStore(tmp_path / "copy.sqlite") as copy:
        assert copy.take_in(read_any_records(tmp_path / f"out.{form}")).problems == ()
        assert copy.answers("mine") == view.store.answers("mine")


def test_a_file_that_is_given_is_taken_in_and_its_faults_are_shown(runs: Path) -> None:  # noqa: F811
    path = fill(runs)
    with FeedbackStore(path / "feedback.sqlite") as store:
        lines = [encode_line(record) for record in store.records()]
    other = make_run(runs / "other", seed=1)
    FeedbackStore(other / "feedback.sqlite").close()
    page = data_page()
    page.selectbox[0].set_value("other").run()
    content = "\n".join([*lines, '{"record": "<script>"}', ""]).encode()
    page.file_uploader[0].set_value(("answers.jsonl", content, "application/json"))
    press(page, "Take in")
    assert not page.exception
    assert f"{len(lines)} records added" in words(page)
    assert "1 were not taken" in page.error[0].value
    with FeedbackStore(other / "feedback.sqlite") as store:
        assert len(store.answers("mine")) == 64
    json.loads(lines[0])


def test_without_a_session_the_page_says_so_and_shows_nothing(runs: Path) -> None:  # noqa: F811
    fill(runs)
    grant_access(runs, "Ada", Role.LABELLER)
    page = data_page()
    assert "Your session is over" in page.warning[0].value
    assert len(page.button) == 0
