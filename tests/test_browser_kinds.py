"""In a real browser: rankings clip by clip, likes and ratings by one key; undo, reloads, a server away."""

from pathlib import Path
from typing import Any

import pytest
from labelling_steps import answer, wait_until
from waiting_run import make_waiting_run

from experiments.browser import LabelPage
from prefrl.feedback import Query, RemarkKind, Value
from prefrl.labellers.screen import screen_value
from prefrl.store.feedback_store import FeedbackStore

pytestmark = pytest.mark.browser
RUN = "human"
QUERIES = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind that waits for people."""
    return {
        kind: make_waiting_run(
            tmp_path_factory.mktemp(kind) / RUN,
            pairs=QUERIES,
            labels=48,
            query={"kind": kind, "ranking_size": 4},
        )
        for kind in ("ranking", "like", "rating")
    }


@pytest.fixture
def waiting_run(made: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    """The run of the kind that the test is about."""
    return made[request.param]


def about(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("waiting_run", [kind], indirect=True)


def said(store: FeedbackStore) -> list[Value]:
    """What stands, in the order in which it was first said, as it was on the screen."""
    asked: dict[str, Query] = {query.id: query for query in store.queries(RUN)}
    standing = {one.query_id: one for one in store.current_answers(RUN)}
    first = list(dict.fromkeys(one.query_id for one in store.answers(RUN)))
    found = [standing[query] for query in first if query in standing]
    return [screen_value(asked[one.query_id], one.value, one.shown) for one in found]


def badges(page: LabelPage) -> list[str]:
    return [str(words) for words in page.page.locator(".badge").all_inner_texts()]


@about("ranking")
def test_clips_are_ranked_by_their_numbers_best_first(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    assert page.page.locator(".clip canvas").count() == 4
    answer(page, "3", "1")
    assert badges(page) == ["2nd", "", "best", ""]
    assert "Best first: 3, 1" in page.page.locator(".order").inner_text()
    page.press("Enter")  # too early: says what is missing
    page.wait_for("notice", "Place one more clip")
    page.press("4")
    assert badges(page) == ["2nd", "worst", "best", "3rd"]
    page.press("Backspace")
    page.press("2")
    assert badges(page) == ["2nd", "3rd", "best", "worst"]
    page.press("Enter")
    page.wait_for("mine", "1 saved")
    answer(page, "ArrowDown")
    page.wait_for("mine", "2 saved")
    assert said(store) == [(2, 0, 1, 3), None]
    assert all(0.1 < (one.seconds or 0) < 60 for one in store.answers(RUN))
    assert page.problems == []


@about("ranking")
def test_clips_are_ranked_by_clicking_them_or_their_buttons(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    page.page.wait_for_timeout(300)
    page.page.locator(".clip canvas").nth(1).click()
    page.page.get_by_role("button", name="Clip 4 comes next").click()
    page.page.get_by_role("button", name="Take clip 2 out").click()
    assert badges(page) == ["", "", "", "best"]
    for place in (2, 0):
        page.page.locator(".clip canvas").nth(place).click()
    page.page.get_by_role("button", name="Send ranking").click()
    page.wait_for("mine", "1 saved")
    assert said(store) == [(3, 2, 0, 1)]
    assert page.problems == []


@about("ranking")
def test_a_ranking_is_looked_at_again_kept_changed_and_taken_back(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    answer(page, "1", "2", "3", "Enter")
    answer(page, "4", "3", "2", "Enter")
    page.wait_for("mine", "2 saved")
    page.press("Backspace")
    page.wait_for("past", "You said: 4 > 3 > 2 > 1, best first")
    assert badges(page) == ["worst", "3rd", "2nd", "best"]
    page.press("Enter")  # kept
    page.press("Backspace")
    page.press("Backspace")
    page.wait_for("past", "You said: 1 > 2 > 3 > 4")
    for key in ("2", "Backspace", "3", "1", "2", "Enter"):
        page.press(key)
    wait_until(lambda: len(store.answers(RUN)) == 3)
    assert said(store) == [(2, 0, 1, 3), (3, 2, 1, 0)]
    page.open()  # and after a reload
    wait_until(lambda: page.page.locator("button[data-action=back]").is_enabled())
    page.press("Backspace")
    page.wait_for("past", "You said: 3 > 1 > 2 > 4")
    page.press("Delete")
    wait_until(lambda: len(store.current_answers(RUN)) == 1)
    page.wait_for_pair()
    assert page.problems == []


@about("like")
def test_clips_are_liked_and_disliked_by_arrows_and_letters(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    assert page.page.locator(".clip canvas").count() == 1
    for number, key in enumerate(("ArrowRight", "ArrowLeft", "l", "d", "ArrowDown"), 1):
        answer(page, key)
        page.wait_for("mine", f"{number} saved")
    page.page.wait_for_timeout(300)
    page.page.get_by_role("button", name="Dislike").click()
    page.wait_for("mine", "6 saved")
    assert said(store) == [True, False, True, False, None, False]
    page.press("Backspace")
    page.wait_for("past", "You said: dislike")
    assert page.page.locator("button[data-action=dislike]").get_attribute("aria-pressed") == "true"
    page.press("l")
    wait_until(lambda: said(store)[-1] is True)
    assert page.problems == []


@about("rating")
def test_clips_are_rated_by_digits(context: Any, server: Any, store: FeedbackStore) -> None:
    page = LabelPage(context, server, RUN, "ada")
    for number, key in enumerate(("7", "0", "1", "ArrowDown"), 1):
        answer(page, key)
        page.wait_for("mine", f"{number} saved")
    page.page.wait_for_timeout(300)
    page.page.get_by_role("button", name="Rate 9 of 10").click()
    page.wait_for("mine", "5 saved")
    assert said(store) == [7, 10, 1, None, 9]
    page.press("Backspace")
    page.wait_for("past", "You said: 9 of 10")
    page.press("3")
    wait_until(lambda: said(store)[-1] == 3)
    page.page.get_by_role("button", name="My answers").click()
    page.page.locator("dialog[open] .answer", has_text="7 of 10").wait_for()
    page.page.locator("dialog[open] .answer", has_text="cannot tell").wait_for()
    assert page.problems == []


@about("rating")
def test_ratings_made_while_the_server_is_away_are_sent_when_it_is_back(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    answer(page, "5")
    page.wait_for("mine", "1 saved")
    server.kill()
    for key in ("2", "9"):
        answer(page, key)
    page.wait_for("mine", "2 on the way")
    server.start()
    page.wait_for("mine", "3 saved")
    assert said(store) == [5, 2, 9]


@about("ranking")
def test_a_reload_in_the_middle_of_a_ranking_loses_no_answer_and_sends_none(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    answer(page, "1", "2", "3", "Enter")
    page.wait_for("mine", "1 saved")
    answer(page, "2", "4")
    page.open()
    assert badges(page) == [""] * 4
    answer(page, "4", "3", "1", "Enter")
    wait_until(lambda: len(store.answers(RUN)) == 2)
    assert said(store) == [(0, 1, 2, 3), (3, 2, 0, 1)]


@about("like")
def test_a_broken_clip_is_reported_and_the_instructions_say_how_to_answer(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    page.press("h")
    help_ = page.page.locator("dialog[open]", has_text="Do you like what happens in this clip?")
    help_.wait_for()
    assert "→ or L" in help_.inner_text()
    help_.locator("button").last.click()
    page.press("f")
    page.page.locator("dialog[open]", has_text="What is wrong with this clip?").wait_for()
    page.page.locator("dialog[open] textarea").fill("black")
    page.page.locator("dialog[open] button", has_text="Send").click()
    wait_until(lambda: len(store.remarks(RUN, kind=RemarkKind.FLAG)) == 1)
    assert store.answers(RUN) == []


@about("ranking")
def test_keys_of_one_kind_are_changed_without_touching_those_of_another(
    context: Any, server: Any, store: FeedbackStore
) -> None:
    page = LabelPage(context, server, RUN, "ada")
    saved = '{"on": true, "keys": {"left": "a"}}'
    page.page.evaluate(f"localStorage.setItem('prefrl:keys', '{saved}')")
    page.page.locator("button[data-action=keys]").click()
    page.page.get_by_label("Key for: Clip 1 comes next").click()
    page.press("q")
    page.page.locator("dialog[open] button", has_text="Done").click()
    answer(page, "q", "2", "3", "Enter")
    page.wait_for("mine", "1 saved")
    assert said(store) == [(0, 1, 2, 3)]
    keys = page.page.evaluate("JSON.parse(localStorage.getItem('prefrl:keys')).keys")
    assert (keys["left"], keys["place-1"]) == ("a", "q")
