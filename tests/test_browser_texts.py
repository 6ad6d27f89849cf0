"""Comparing texts in a real browser: the same keys, and nothing in a text is ever more than text."""

import time
from pathlib import Path
from typing import Any

import pytest
from text_pairs import SCRIPT, make_collection, numbered_pair

from experiments.browser import PATIENCE, LabelPage
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import read_responses

pytestmark = pytest.mark.browser
NAME = "texts"


def texts(page: LabelPage) -> list[str]:
    """The prompt and the responses on the screen, from left to right."""
    return [str(words) for words in page.page.locator(".texts .text").all_inner_texts()]


def press_next(page: LabelPage, key: str) -> None:
    page.wait_for_pair()
    time.sleep(0.2)  # the lockout
    page.press(key)


def test_texts_are_answered_with_the_keys_of_clips(
    context: Any,
    serve: Any,
    tmp_path: Path,
) -> None:
    folder = make_collection(tmp_path / "runs" / NAME, *map(numbered_pair, range(6)))
    page = LabelPage(context, serve(folder.parent), NAME, "ada")
    shown = []
    for number, key in enumerate(["ArrowLeft", "Shift+ArrowRight", "ArrowUp", "ArrowDown"], 1):
        page.wait_for_pair()
        shown.append(texts(page))
        press_next(page, key)
        page.wait_for("mine", f"{number} saved")
    responses = read_responses(folder)
    with FeedbackStore(folder / "feedback.sqlite") as store:
        queries = {query.id: query for query in store.queries(NAME)}
        answers = store.answers(NAME)
    for answer, (prompt, *sides), said in zip(answers, shown, [1.0, 0.25, 0.5, None], strict=True):
        items = queries[answer.query_id].items
        assert prompt == responses[items[0]].prompt
        assert sides == [responses[items[place]].text for place in answer.shown]
        swapped = answer.shown == (1, 0)
        assert answer.value == (1.0 - said if swapped and said is not None else said)
    assert page.problems == []


@pytest.mark.parametrize("markdown", [False, True])
def test_script_in_a_text_is_shown_and_never_runs(
    context: Any,
    serve: Any,
    tmp_path: Path,
    markdown: bool,
) -> None:
    hostile = {"prompt": SCRIPT, "response_a": SCRIPT, "response_b": f"{SCRIPT} again"}
    folder = make_collection(tmp_path / "runs" / NAME, hostile, markdown=markdown)
    page = LabelPage(context, serve(folder.parent), NAME, "ada")
    for words in texts(page):
        assert "<script>window.hacked = true</script><img src=x onerror='window.hacked = true'>" in words
        assert "javascript:alert(1)" in words
    inside = page.page.locator(".texts")
    assert inside.locator("script, img, a, iframe, [onerror]").count() == 0
    assert inside.locator("strong").count() == (3 if markdown else 0)
    assert page.page.evaluate("window.hacked") is None
    assert page.problems == []


def test_markdown_is_drawn_with_lists_code_and_emphasis(
    context: Any,
    serve: Any,
    tmp_path: Path,
) -> None:
    text = "# Title\n\nA *word* and `code`.\n\n- one\n- two\n\n3. three\n\n```\n<b>kept</b>\n```\n> quoted"
    folder = make_collection(
        tmp_path / "runs" / NAME, {"prompt": "Why?", "chosen": text, "rejected": "No."}, markdown=True
    )
    page = LabelPage(context, serve(folder.parent), NAME, "ada")
    drawn = page.page.locator(".response .text", has_text="Title")
    assert [drawn.locator(name).inner_text() for name in ("h3", "em", "p code", "pre", "blockquote")] == [
        "Title",
        "word",
        "code",
        "<b>kept</b>",
        "quoted",
    ]
    assert drawn.locator("ul li").all_inner_texts() == ["one", "two"]
    assert drawn.locator("ol").get_attribute("start") == "3"


def test_long_texts_are_read_to_their_ends_with_the_keyboard(
    context: Any,
    serve: Any,
    tmp_path: Path,
) -> None:
    long = "\n".join(f"line {number}" for number in range(200))
    folder = make_collection(
        tmp_path / "runs" / NAME, {"prompt": "Why?", "chosen": long, "rejected": f"{long} !"}
    )
    page = LabelPage(context, serve(folder.parent), NAME, "ada")
    scrolled = "[...document.querySelectorAll('*')].flatMap((e) => e.shadowRoot ?? []).concat(document)"
    tops = f"{scrolled}.flatMap((r) => [...r.querySelectorAll('.response .text')]).map((e) => e.scrollTop)"
    assert page.page.evaluate(tops) == [0, 0]
    page.press(" ")
    first = page.page.evaluate(tops)
    assert first[0] == first[1] > 0
    page.press(",")
    assert page.page.evaluate(tops) == [0, 0]
    for _ in range(60):
        page.press(".")
    end = page.page.evaluate(tops)[0]
    assert end > 2000
    page.press(" ")  # from the end back to the beginning
    assert page.page.evaluate(tops) == [0, 0]


@pytest.mark.slow
def test_after_20_answers_by_keys_the_page_says_what_is_preferred(
    context: Any,
    serve: Any,
    tmp_path: Path,
) -> None:
    folder = make_collection(tmp_path / "runs" / NAME, *map(numbered_pair, range(20)))
    server = serve(folder.parent)
    page = LabelPage(context, server, NAME, "ada")
    for number in range(1, 21):
        page.wait_for_pair()
        _, left, right = texts(page)
        press_next(page, "ArrowLeft" if len(left) > len(right) else "ArrowRight")
        page.wait_for("mine", f"{number} saved")
    page.page.goto(f"{server.address}/preferences?run={NAME}")
    said = page.page.get_by_text("may matter: the response that is longer wins 100%")
    said.wait_for(timeout=PATIENCE)
    # The reward is fitted by a process of its own; the page looks again by itself.
    page.page.get_by_text("It predicts 100%").wait_for(timeout=10 * PATIENCE)
    assert page.page.locator("[data-testid=stVegaLiteChart]").count() == 2
    assert page.problems == []
