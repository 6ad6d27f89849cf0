"""The terminal client where a run asks for rankings, likes or ratings: keys, words, and what is stored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting_run import wait_for_people

from experiments.answer import AnswerConfig, run_answer
from experiments.answer_keys import Act, Key, LineKeys, meaning_of
from experiments.answer_reading import help_on, read_answer, said
from prefrl.control.segment_files import load_segments
from prefrl.feedback import Kind, Value
from prefrl.labellers.screen import screen_value
from prefrl.store.feedback_store import FeedbackStore

QUERIES = 6


@pytest.fixture(params=["ranking", "like", "rating"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run that waits for answers of its kind."""
    query = {"kind": request.param, "ranking_size": 3}
    return wait_for_people(tmp_path / "human", queries=QUERIES, query=query)


def answered(run: Path, *lines: str) -> list[Value]:
    """What a session in which these lines are read has said, in the order on the screen."""
    file = run.parent / "keys.txt"
    file.write_text("\n".join(lines))
    run_answer(AnswerConfig(run, answers=str(file), labeller="ada", wait=False, clips=False))
    with FeedbackStore(run / "feedback.sqlite") as store:
        asked = {query.id: query for query in store.queries("human")}
        return [screen_value(asked[one.query_id], one.value, one.shown) for one in store.answers("human")]


def read(lines: list[str], clips: int = 4) -> Key:
    return read_answer(LineKeys(lines, meaning_of(Kind.RANKING, clips)), Kind.RANKING, clips)


def test_answers_are_stored_as_they_were_meant(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, values, words = {
        "ranking": (["312", "s", "2", "1", "send"], [(2, 0, 1), None, (1, 0, 2)], "saved: 3 > 1 > 2"),
        "like": (["l", "d", "s", "\x1b[C"], [True, False, None, True], "saved: dislike"),
        "rating": (["7", "0", "?", "10", "1"], [7, 10, None, 10, 1], "saved: 7 of 10"),
    }[kind_of(run)]
    assert answered(run, *lines) == values
    assert words in capsys.readouterr().out


def kind_of(run: Path) -> str:
    with FeedbackStore(run / "feedback.sqlite") as store:
        return str(store.queries("human")[0].kind)


def test_the_oracle_answers_every_kind(run: Path) -> None:
    run_answer(AnswerConfig(run, answer_as="oracle", wait=False))
    with FeedbackStore(run / "feedback.sqlite") as store:
        queries, values = store.queries("human"), [one.value for one in store.answers("human")]
    returns = [load_segments(run / "segments", list(one.items)).true_reward.sum(1) for one in queries]
    assert len(values) == QUERIES
    if kind_of(run) == "ranking":
        assert values == [tuple(np.argsort(-one).tolist()) for one in returns]
    elif kind_of(run) == "like":
        assert values == [one[0] > np.median(returns) for one in returns]
    else:
        order = np.argsort([one[0] for one in returns])
        rated = [values[place] for place in order]
        assert rated == sorted(rated)  # type: ignore[type-var]
        assert (rated[0], rated[-1]) == (1, 10)


def test_clips_are_placed_taken_back_and_sent() -> None:
    assert read(["3", "1", "back", "4", "2", "send"]) == Key(Act.ANSWER, (2, 3, 1, 0))
    assert read(["3", "3", "1", "2", "4", "send"]) == Key(Act.ANSWER, (0, 1, 3, 2))  # 3 again: not yet
    assert read(["1", "2", "3", "4", "send"]) == Key(Act.ANSWER, (0, 1, 2, 3))  # the last needs no key


def test_an_unfinished_ranking_is_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    assert read(["2", "send", "back", "back", "q"]) == Key(Act.QUIT)
    assert "2: 2 to come" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["5", "0", "12", "1 2 3 3", "12345", "x", "1.2"])
def test_what_is_no_ranking_is_explained(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert read([line, "2 4 1 3"]) == Key(Act.ANSWER, (1, 3, 0, 2))
    assert help_on(Kind.RANKING) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (Kind.PAIR, 0.75, "slightly left"),
        (Kind.RANKING, (1, 0, 2), "2 > 1 > 3"),
        (Kind.LIKE, False, "dislike"),
        (Kind.RATING, 10, "10 of 10"),
        (Kind.RATING, None, "skipped"),
    ],
)
def test_an_answer_is_said_in_words(kind: Kind, value: Any, words: str) -> None:
    assert said(kind, value) == words
