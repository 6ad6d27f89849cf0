"""Labelling in a real browser: keys, undo, reloads, a server that dies; no answer lost, none doubled."""

import time
from pathlib import Path
from typing import Any

import pytest
from labelling_steps import answer, wait_until
from waiting_run import make_waiting_run

from experiments.browser import LabelPage
from prefrl.feedback import RemarkKind
from prefrl.store.feedback_store import FeedbackStore

pytestmark = pytest.mark.browser
RUN = "human"
PAIRS = 24


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_waiting_run(tmp_path_factory.mktemp("made") / RUN, pairs=PAIRS, labels=96)


def test_every_key_of_the_paper_says_what_it_says(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada")
    keys = ["ArrowLeft", "Shift+ArrowLeft", "ArrowUp", "Shift+ArrowRight", "ArrowRight", "ArrowDown"]
    for number, key in enumerate(keys, 1):
        answer(page, key)
        page.wait_for("mine", f"{number} saved")
    stored = store.answers(RUN)
    on_screen = [
        one.value if one.shown == (0, 1) or one.value is None else 1.0 - one.value  # type: ignore[operator]
        for one in stored
    ]
    assert on_screen == [1.0, 0.75, 0.5, 0.25, 0.0, None]
    assert {one.labeller for one in stored} == {"ada"}
    assert all(0.1 < one.seconds < 60 for one in stored if one.seconds is not None)
    assert page.problems == []


def test_the_last_answers_can_be_changed_and_taken_back(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowLeft"):
        answer(page, key)
    page.wait_for("mine", "3 saved")
    page.press("Backspace")
    page.wait_for("past", "You said: left is better")
    page.press("Backspace")
    page.press("ArrowUp")
    wait_until(lambda: len(store.answers(RUN)) == 4)
    first, second, third = (store.answers(RUN)[place].query_id for place in range(3))
    standing = {one.query_id: one.value for one in store.current_answers(RUN)}
    assert standing[second] == 0.5
    page.press("Backspace")
    page.wait_for("past", "You said: left is better")
    page.press("Delete")
    wait_until(lambda: len(store.current_answers(RUN)) == 2)
    assert {one.query_id for one in store.current_answers(RUN)} == {first, second}
    assert third not in {one.query_id for one in store.current_answers(RUN)}
    assert page.problems == []


def test_earlier_answers_can_still_be_changed_after_a_reload(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    for key in ("ArrowLeft", "ArrowRight"):
        answer(page, key)
    page.wait_for("mine", "2 saved")
    page.open()
    wait_until(lambda: page.page.locator("button[data-action=back]").is_enabled())
    page.press("Backspace")
    page.wait_for("past", "You said: right is better")
    page.press("ArrowUp")
    wait_until(lambda: len(store.answers(RUN)) == 3)
    assert 0.5 in [one.value for one in store.current_answers(RUN)]


def test_a_key_that_is_held_down_answers_once(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada")
    time.sleep(0.3)
    page.page.keyboard.down("ArrowLeft")
    for _ in range(10):  # the browser's own repeats of a key that stays down
        page.page.keyboard.down("ArrowLeft")
        time.sleep(0.05)
    page.page.keyboard.up("ArrowLeft")
    page.wait_for("mine", "1 saved")
    assert len(store.answers(RUN)) == 1


def test_a_reload_in_the_middle_loses_and_doubles_nothing(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    for number in range(6):
        answer(page, "ArrowLeft")
        if number % 2:
            page.open()
    page.wait_for("state", "agent")
    wait_until(lambda: len(store.answers(RUN)) == 6)
    assert len({one.query_id for one in store.answers(RUN)}) == 6


def test_answers_made_while_the_server_is_away_are_sent_when_it_is_back(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    answer(page, "ArrowLeft")
    page.wait_for("mine", "1 saved")
    server.kill()
    for _ in range(3):
        answer(page, "ArrowRight")
    page.wait_for("mine", "3 on the way")
    page.wait_for("connection", "trying again")
    assert len(store.answers(RUN)) == 1
    server.start()
    page.wait_for("mine", "4 saved")
    assert len(store.answers(RUN)) == len({one.query_id for one in store.answers(RUN)}) == 4


def test_answers_not_yet_sent_outlive_the_page(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada")
    server.kill()
    for _ in range(2):
        answer(page, "ArrowLeft")
    page.wait_for("mine", "2 on the way")
    page.page.close()
    server.start()
    LabelPage(context, server, RUN, "ada")
    wait_until(lambda: len(store.answers(RUN)) == 2)


def test_two_tabs_and_two_labellers_double_nothing(context: Any, server: Any, store: FeedbackStore) -> None:
    tabs = [LabelPage(context, server, RUN, name) for name in ("ada", "ada", "bob")]
    for _ in range(4):
        for tab in tabs:
            tab.page.bring_to_front()
            answer(tab, "ArrowLeft")
    wait_until(lambda: sum(len(tab.receipts) for tab in tabs) >= 12)
    answers = store.answers(RUN)
    assert len({(one.query_id, one.labeller) for one in answers}) == len(answers)
    assert len({one.query_id for one in answers}) == len(answers)
    acknowledged = [
        one for tab in tabs for one in tab.receipts if one["status"] == "kept" and not one["known"]
    ]
    assert len(acknowledged) == len(answers)


def test_presses_at_twenty_per_second_give_the_rows_that_were_acknowledged(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    lockout = page.page.get_by_test_id("stNumberInputField")
    lockout.fill("0")
    lockout.press("Enter")
    time.sleep(2.0)
    page.page.locator(".clips").click()
    page.wait_for_pair()
    presses = 0
    while len(page.receipts) < PAIRS:  # a press that finds no pair on the screen says nothing
        page.press(("ArrowLeft", "ArrowRight", "ArrowUp")[presses % 3])
        presses += 1
        assert presses < 1200, "the pairs never came"
        time.sleep(0.05)
    kept = [one for one in page.receipts if one["status"] == "kept"]
    assert len(kept) == len(page.receipts) == len(store.answers(RUN)) == PAIRS
    assert len({one.query_id for one in store.answers(RUN)}) == PAIRS


def test_a_broken_clip_is_reported_by_key(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada")
    page.press("f")
    page.page.locator("dialog[open] textarea").fill("all black")
    page.page.locator("dialog[open] button", has_text="Send").click()
    wait_until(lambda: len(store.remarks(RUN, kind=RemarkKind.FLAG)) == 1)
    assert store.remarks(RUN, kind=RemarkKind.FLAG)[0].content == "all black"
    assert store.answers(RUN) == []


def test_keys_can_be_changed_and_turned_off(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada")
    page.page.locator("button[data-action=keys]").click()
    page.page.get_by_label("Key for: Left is better").click()
    page.press("a")
    page.page.locator("dialog[open] button", has_text="Done").click()
    answer(page, "a")
    page.wait_for("mine", "1 saved")
    page.page.locator("button[data-action=keys]").click()
    page.page.locator("dialog[open] button", has_text="Turn keys off").click()
    page.page.locator("dialog[open] button", has_text="Done").click()
    for key in ("a", "ArrowRight", "ArrowUp"):
        answer(page, key)
    page.page.locator("button[data-action=equal]").click()
    page.wait_for("mine", "2 saved")
    assert len(store.answers(RUN)) == 2


def test_clips_move_in_step_pause_and_go_frame_by_frame(context: Any, server: Any) -> None:
    page = LabelPage(context, server, RUN, "ada")
    page.press(" ")
    still = page.words("frame")
    time.sleep(0.5)
    assert page.words("frame") == still
    number, frames = map(int, still.split("/"))
    page.press(".")
    assert page.words("frame") == f"{number % frames + 1}/{frames}"
    page.press(",")
    assert page.words("frame") == still
    page.press(" ")
    wait_until(lambda: page.words("frame") != still)


def test_clips_stand_still_where_less_motion_is_wanted(browser: Any, server: Any) -> None:
    context = browser.new_context(reduced_motion="reduce")
    page = LabelPage(context, server, RUN, "ada")
    assert "less motion" in page.words("notice")
    still = page.words("frame")
    time.sleep(0.5)
    assert page.words("frame") == still
    context.close()


def test_typing_a_name_answers_nothing(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada")
    name = page.page.get_by_label("Your name")
    name.click()
    name.press("ArrowLeft")
    name.press("ArrowRight")
    time.sleep(0.5)
    assert store.answers(RUN) == []
