"""The page on preferences, as Streamlit runs it, and the process that fits a reward for it."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from text_pairs import SCRIPT, make_collection, numbered_pair

from prefrl.bootstrap import Interval
from prefrl.labellers.labelling import Labelling
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.features import FEATURES
from prefrl.texts.fit_file import Curve, TextFit, save_text_fit
from prefrl.texts.preference_effects import Effect
from prefrl.texts.response_files import RESPONSES, read_responses
from prefrl.texts.votes import read_votes
from ui import here, page_preferences
from ui.here import FOLDER
from ui.page_preferences import reward_sentence, verdict
from ui.text_fits import TextFits

NAME = "texts"
PATIENCE = 600


class Fits:
    """What the page asks to be fitted."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.problem: str | None = None

    def ask(self, _folder: Path, digest: str) -> str | None:
        self.asked.append(digest)
        return self.problem


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    found = Fits()
    monkeypatch.setattr(page_preferences, "text_fits", lambda: found)
    return found


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = tmp_path / "runs"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    here.workplace.clear()
    yield folder
    here.workplace().close()


def answered(folder: Path, count: int) -> Path:
    """A collection of which somebody has answered so many pairs, the longer response each time."""
    made = make_collection(folder / NAME, *map(numbered_pair, range(24)))
    responses = read_responses(made)
    with FeedbackStore(made / "feedback.sqlite") as store:
        labeller = Labelling(store, NAME, labeller="ada", seed=0)
        for query in store.queries(NAME)[:count]:
            left, right = (len(responses[item].text) for item in query.items)
            labeller.answer(query, float(left > right), shown=(0, 1))
    return made


def opened() -> AppTest:
    def script() -> None:
        from ui.page_preferences import preferences_page

        preferences_page()

    page = AppTest.from_function(script, default_timeout=PATIENCE).run()
    assert not page.exception, page.exception
    return page


def words(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.error, page.warning, page.text, page.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def test_without_texts_the_page_says_how_to_get_some(runs: Path) -> None:
    del runs
    assert "prefrl text runs/answers --file experiments/text_examples.jsonl" in words(opened())


def test_before_20_answers_nothing_is_said_about_preferences(runs: Path, fits: Fits) -> None:
    answered(runs, 19)
    page = opened()
    assert "Intervals are of" not in words(page)
    assert not page.dataframe
    assert fits.asked == []


def test_after_20_answers_a_preference_for_length_is_told_with_its_interval(runs: Path, fits: Fits) -> None:
    folder = answered(runs, 20)
    page = opened()
    # In these texts the longer response is always the one with longer sentences, too.
    said = "**Length** may matter: the response that is longer wins 100% [84%, 100%] of 20 pairs"
    assert said in words(page)
    assert "20 answers to 20 pairs" in words(page)
    table = page.dataframe[0].value
    assert table["feature"].tolist() == ["length", "readability", "sentiment"]
    assert "It is being fitted" in words(page)
    with FeedbackStore(folder / "feedback.sqlite") as store:
        digest = read_votes(store, NAME, read_responses(folder)).digest
    assert fits.asked == [digest]
    save_text_fit(folder, fit(digest))
    assert "It predicts 90% [70%, 97%] of 20 pairs" in words(opened())
    assert fits.asked == [digest]  # what is there is not fitted again
    save_text_fit(folder, fit("of other votes"))
    assert "a fit to all 20 is on its way" in words(opened())
    fits.problem = "no luck"
    assert "no luck" in words(opened())


def fit(digest: str) -> TextFit:
    curves = tuple(Curve(one.name, [0.0, 1.0], [0.0, 1.0], [0.0, 0.5], [0.0, 1.5]) for one in FEATURES)
    return TextFit(digest, 20, 20, Interval(0.9, 0.7, 0.97), 0.3, 10, curves)


def test_damaged_texts_are_quoted_as_text_alone(runs: Path, fits: Fits) -> None:
    folder = answered(runs, 20)
    (folder / RESPONSES).write_text(
        f'{{"id": "x", "prompt": "y", "text": "{SCRIPT.replace(chr(34), "")}\\u0000"}}\n'
    )
    page = opened()
    assert [element.value for element in page.error] == ["This collection cannot be read:"]
    assert any("responses.jsonl line 1 is damaged" in element.value for element in page.text)
    assert fits.asked == []


LENGTH = FEATURES[0]
CERTAIN = Effect(Interval(0.8, 0.6, 0.9), 30, Interval(1.0, 0.5, 2.0), 1.0)


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (CERTAIN, "**Length** matters: the response that is longer wins 80% [60%, 90%] of 30 pairs"),
        (
            Effect(Interval(0.2, 0.1, 0.4), 30, Interval(-1.0, -2.0, -0.5), 1.0),
            "**Length** matters: the response that is shorter wins 80% [60%, 90%] of 30 pairs",
        ),
        (replace(CERTAIN, coefficient=Interval(1.0, -0.1, 2.0)), "may matter: the response that is longer"),
        (
            Effect(Interval(0.5, 0.3, 0.7), 30, Interval(0.1, -1.0, 1.0), 1.0),
            "no clear preference yet; the response that is longer wins 50%",
        ),
        # more pairs are won by the longer, but with the other features held equal by the shorter: not clear
        (
            Effect(Interval(0.55, 0.4, 0.7), 30, Interval(-1.0, -2.0, -0.5), 1.0),
            "no clear preference yet",
        ),
        (Effect(Interval(float("nan"), 0.0, 1.0), 0, CERTAIN.coefficient, 0.0), "no pair differs in it"),
    ],
)
def test_a_verdict_says_no_more_than_the_intervals_do(effect: Effect, said: str) -> None:
    assert said in verdict(LENGTH, effect)


def test_a_reward_that_may_be_guessing_is_said_to_be_so() -> None:
    assert "(guessing: 50%)" in reward_sentence(fit(""))
    guessing = replace(fit(""), agreement=Interval(0.6, 0.45, 0.7))
    assert "not surely better than guessing" in reward_sentence(guessing)


def test_a_fit_that_fails_is_explained_once_for_the_same_votes(tmp_path: Path) -> None:
    fits = TextFits()
    assert fits.ask(tmp_path, "some votes") is None
    end = time.monotonic() + PATIENCE
    while (problem := fits.ask(tmp_path, "some votes")) is None:
        assert time.monotonic() < end
        time.sleep(0.2)
    assert "there is no run in" in problem
    assert fits.ask(tmp_path, "some votes") == problem
    assert fits.ask(tmp_path, "other votes") is None  # tried again
