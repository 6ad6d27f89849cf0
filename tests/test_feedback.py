"""Queries, answers and remarks check themselves and name the fix."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefrl.errors import UsageError
from prefrl.feedback import (
    PREFERENCES,
    Answer,
    Kind,
    Purpose,
    Query,
    Remark,
    RemarkKind,
    Source,
    check_answer,
    make_id,
    newest_answers,
)

PAIR = Query("q0", "run", Kind.PAIR, ("a", "b"))
ANSWER = Answer("a0", "q0", 1.0, Source.PERSON, "ann")


def query_of(kind: Kind) -> Query:
    items = {Kind.PAIR: ("a", "b"), Kind.RANKING: ("a", "b", "c")}.get(kind, ("a",))
    return Query("q0", "run", kind, items)


def test_importing_the_types_loads_neither_the_database_nor_torch_nor_numpy() -> None:
    code = "import sys, prefrl.feedback; print({'sqlalchemy', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_equal_arguments_make_equal_ids_and_any_other_argument_another_id() -> None:
    ids = {
        make_id(run, seed, kind, counter)
        for run in ("r", "s")
        for seed in (0, 1)
        for kind in ("query", "answer")
        for counter in (0, 1, 10)
    }
    assert len(ids) == 24
    assert make_id("r", 0, "query", 1) == make_id("r", 0, "query", 1)
    assert make_id("r", 0, "query", 1).startswith("query-")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[(Kind.PAIR, preference) for preference in PREFERENCES],
        (Kind.PAIR, 1),
        (Kind.PAIR, np.float32(0.5)),
        (Kind.RANKING, (2, 0, 1)),
        (Kind.RANKING, np.array([2, 0, 1])),
        (Kind.LIKE, False),
        (Kind.LIKE, np.True_),
        (Kind.RATING, 1),
        (Kind.RATING, np.int64(10)),
        (Kind.MARKS, (0.5, -1.0, 2)),
        *[(kind, None) for kind in Kind],
    ],
)
def test_every_kind_takes_its_own_values_and_skips(kind: Kind, value: Any) -> None:
    answer = replace(ANSWER, value=value)
    check_answer(query_of(kind), answer)
    assert answer.skipped == (value is None)
    hash(answer)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.PAIR, 0.3),
        (Kind.PAIR, True),
        (Kind.PAIR, float("nan")),
        (Kind.PAIR, "left"),
        (Kind.PAIR, (1.0, 0.0)),
        (Kind.RANKING, (0, 1)),
        (Kind.RANKING, (0, 1, 1)),
        (Kind.RANKING, (True, 0, 2)),
        (Kind.RANKING, 2),
        (Kind.LIKE, 1),
        (Kind.RATING, 0),
        (Kind.RATING, 11),
        (Kind.RATING, 3.0),
        (Kind.RATING, True),
        (Kind.MARKS, ()),
        (Kind.MARKS, (1.0, float("inf"))),
        (Kind.MARKS, (1.0, 10**400)),
        (Kind.MARKS, (1.0, [2.0])),
        (Kind.MARKS, 3.0),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_to_give(kind: Kind, value: Any) -> None:
    with pytest.raises(UsageError, match=r"a0 to .* give .*, or None to skip"):
        check_answer(query_of(kind), replace(ANSWER, value=value))


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x" * 201},
        {"id": 7},
        {"run": "a\nb"},
        {"run": "\ud800"},
        {"kind": "duel"},
        {"purpose": "fun"},
        {"items": "ab"},
        {"items": ("a",)},
        {"items": ("a", "a")},
        {"items": ("a", "")},
        {"items": ("a", 3)},
        {"items": ("a", "b", "c")},
        {"kind": "ranking", "items": ("a",)},
        {"kind": "like", "items": ("a", "b")},
        {"group": ""},
        {"counter": -1},
        {"counter": 1.5},
        {"counter": True},
        {"counter": 2**63},
        {"policy_step": "7"},
        {"repeat_of": "q1"},
        {"purpose": "repeat"},
    ],
)
def test_an_impossible_query_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="give"):
        replace(PAIR, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"query_id": "\0"},
        {"labeller": "a" * 1_000_000},
        {"source": "oracles"},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"seconds": "3"},
        {"seconds": 10**400},
        {"answered_at": float("inf")},
        {"instruction_version": -1},
        {"shown": "01"},
        {"supersedes": ""},
        {"withdrawn": 1},
        {"withdrawn": True, "supersedes": "a1"},
        {"withdrawn": True, "value": None},
    ],
)
def test_an_impossible_answer_is_refused_in_a_short_message(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="give") as caught:
        replace(ANSWER, **change)
    assert len(str(caught.value)) < 400


def test_an_answer_to_another_query_or_in_an_impossible_order_is_refused() -> None:
    with pytest.raises(UsageError, match="not to q1"):
        check_answer(replace(PAIR, id="q1"), ANSWER)
    for shown in [(0,), (1, 2), (0, 0)]:
        with pytest.raises(UsageError, match="0 to 1 once"):
            check_answer(PAIR, replace(ANSWER, shown=shown))
    check_answer(PAIR, replace(ANSWER, shown=(1, 0)))


def test_a_deeply_nested_value_is_refused_and_does_not_exhaust_the_stack() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(UsageError, match="None to skip"):
        check_answer(PAIR, replace(ANSWER, value=nested))


def test_remarks_hold_text_that_can_be_stored() -> None:
    remark = Remark("m0", "run", RemarkKind.FLAG, "q0", "ann", "the clip is black\nall of it", 5.0)
    for content in ("x" * 10_001, "\0", "\udcff", 7):
        with pytest.raises(UsageError, match="give text of at most 10000 characters"):
            replace(remark, content=content)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="kind of remark is 'joke'"):
        replace(remark, kind="joke")  # type: ignore[arg-type]


def test_plain_texts_become_members_so_that_records_from_json_equal_those_made_in_code() -> None:
    assert Query("q0", "run", "pair", ["a", "b"], purpose="training") == PAIR  # type: ignore[arg-type]
    assert PAIR.kind is Kind.PAIR
    assert PAIR.purpose is Purpose.TRAINING


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ann", "bob"]), st.sampled_from(PREFERENCES))))
def test_the_newest_answer_of_each_labeller_stands(given_answers: list[tuple[int, str, float]]) -> None:
    answers = [
        Answer(f"a{number}", f"q{query}", value, Source.PERSON, labeller)
        for number, (query, labeller, value) in enumerate(given_answers)
    ]
    expected = {(f"q{query}", labeller): value for query, labeller, value in given_answers}
    assert {key: answer.value for key, answer in newest_answers(answers).items()} == expected


def test_a_withdrawn_answer_does_not_bring_back_the_one_before_it() -> None:
    second = replace(ANSWER, id="a1", value=0.0, supersedes="a0")
    undo = Answer("a2", "q0", None, Source.PERSON, "ann", supersedes="a1", withdrawn=True)
    assert newest_answers([ANSWER, second, undo]) == {}
    assert not undo.skipped
