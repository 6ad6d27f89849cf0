"""In a real browser: instructions, practice with its verdicts, one's own answers seen again and changed."""

from pathlib import Path
from typing import Any

import pytest
from labelling_steps import answer
from waiting_run import make_waiting_run

from experiments.browser import LabelPage
from prefrl.feedback import Purpose
from prefrl.labellers.quality import expected_values
from prefrl.store.feedback_store import FeedbackStore

pytestmark = pytest.mark.browser
RUN = "human"


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / RUN
    return make_waiting_run(folder, pairs=16, labels=64, query={"practice_pairs": 2})


def test_who_is_new_reads_practises_and_is_told_what_was_expected(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada", practise=True)
    page.wait_for("practice", "Practice 1 of 2")
    answer(page, "ArrowLeft")
    page.wait_for("practice", "xpected: ")
    verdicts = [page.words("practice")]
    answer(page, "ArrowRight")  # an answered pair waits to be left
    page.press("Enter")
    page.wait_for("practice", "Practice 2 of 2")
    answer(page, "ArrowUp")
    page.wait_for("practice", "You said: both are equal")
    page.page.get_by_role("button", name="Next").click()
    page.wait_for("notice", "From here on your answers count")
    answer(page, "ArrowLeft")
    page.wait_for("mine", "1 saved")
    said = {one.query_id: one for one in store.answers(RUN)}
    practised = store.queries(RUN, purposes=[Purpose.PRACTICE])
    assert {query.id for query in practised} < said.keys()
    assert len(said) == len(store.answers(RUN)) == 3
    first = store.answers(RUN)[0]
    right = expected_values(store, RUN)[first.query_id] == first.value
    assert ("As expected: left is better" in verdicts[0]) is right
    assert ("Expected: right is better. You said: left is better" in verdicts[0]) is not right
    assert {one.instruction_version for one in said.values()} == {1}
    assert (store.counts(RUN).labels, store.counts(RUN).other_answers) == (1, 2)
    page.open()  # the instructions are not shown again, nor is practice
    assert page.page.locator(".practice").is_hidden()
    assert page.problems == []


def test_practice_can_be_skipped(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada", practise=True)
    page.page.get_by_role("button", name="Skip practice").click()
    answer(page, "ArrowLeft")
    page.wait_for("mine", "1 saved")
    (given,) = store.answers(RUN)
    assert given.query_id not in {query.id for query in store.queries(RUN, purposes=[Purpose.PRACTICE])}
    page.open()
    assert page.page.locator(".practice").is_hidden()


def test_every_labeller_reads_the_instructions_and_again_when_they_change(context: Any, server: Any) -> None:
    page = LabelPage(context, server, RUN, "ada")
    assert page.page.locator("dialog[open]").count() == 0
    stamp = "Object.keys(localStorage).find((key) => key.startsWith('prefrl:instructions:'))"
    page.page.evaluate(f"localStorage.setItem({stamp}, '0')")  # as if what was read was an older version
    page.page.reload()
    page.page.locator("dialog[open] h2", has_text="Which clip is better?").wait_for()
    LabelPage(context, server, RUN, "bob")  # opens through the instructions, which bob has not read


def test_any_answer_is_seen_again_and_changed(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada")
    for number in range(1, 13):
        answer(page, "ArrowLeft")
        page.wait_for("mine", f"{number} saved")
    oldest = store.answers(RUN)[0]
    page.page.get_by_role("button", name="My answers").click()
    page.page.locator("dialog[open]", has_text="12 answers, newest first; page 1 of 2").wait_for()
    assert page.page.locator(".answer").count() == 10
    page.page.get_by_role("button", name="Older").click()
    page.page.locator("dialog[open]", has_text="page 2 of 2").wait_for()
    page.page.locator(".answer").last.click()
    page.wait_for("past", "You said: left is better")
    page.press("ArrowUp")
    page.wait_for("mine", "13 saved")
    before, after = store.answers(RUN, query_ids=[oldest.query_id])
    assert (before, after.value, after.supersedes) == (oldest, 0.5, oldest.id)
    assert len(store.current_answers(RUN)) == 12
    assert page.problems == []
