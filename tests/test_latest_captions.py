"""What stands below the newest clips: which query they are of, and what was said of them."""

from __future__ import annotations

import pytest

from prefrl.feedback import Answer, Kind, Query, Source, Value
from ui.latest_clips import _caption


def captions(kind: Kind, clips: int, value: Value) -> list[str]:
    query = Query("q", "run", kind, tuple(f"item{place}" for place in range(clips)), counter=6)
    answer = Answer("a", "q", value, Source.PERSON, "ann")
    return [_caption(query, place, answer) for place in range(clips)]


@pytest.mark.parametrize(
    ("kind", "clips", "value", "said"),
    [
        (Kind.PAIR, 2, 1.0, ["Query 7, A: preferred (ann)", "Query 7, B"]),
        (Kind.PAIR, 2, 0.25, ["Query 7, A", "Query 7, B: preferred (ann)"]),
        (Kind.PAIR, 2, 0.5, ["Query 7, A: equal (ann)", "Query 7, B: equal (ann)"]),
        (
            Kind.RANKING,
            3,
            (2, 0, 1),
            [
                "Query 7, A: place 2 of 3 (ann)",
                "Query 7, B: place 3 of 3 (ann)",
                "Query 7, C: place 1 of 3 (ann)",
            ],
        ),
        (Kind.LIKE, 1, True, ["Query 7: liked (ann)"]),
        (Kind.LIKE, 1, False, ["Query 7: disliked (ann)"]),
        (Kind.RATING, 1, 4, ["Query 7: rated 4 of 10 (ann)"]),
        (Kind.RATING, 1, None, ["Query 7"]),
    ],
)
def test_a_caption_says_what_was_said(kind: Kind, clips: int, value: Value, said: list[str]) -> None:
    assert captions(kind, clips, value) == said


def test_a_query_without_an_answer_is_only_named() -> None:
    assert _caption(Query("q", "run", Kind.RATING, ("a",), counter=0), 0, None) == "Query 1"
