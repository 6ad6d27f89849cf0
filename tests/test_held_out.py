"""Agreement with answers that a member was not fitted to, worked out by hand for every kind of feedback."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prefrl.feedback import Kind, Value
from prefrl.feedback_sets import FeedbackSet, make_feedback_set
from prefrl.held_out import concordance, held_out_agreement

RETURNS = torch.tensor(
    [
        [[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.0, 0.0]],  # says left, right, left, a tie
        [[0.0, 1.0], [0.0, 1.0], [2.0, 1.0], [1.0, 0.0]],  # says right, right, left, left
    ]
)


def said(kind: Kind, values: list[Value], *, size: int) -> FeedbackSet:
    rows = torch.arange(len(values) * size).reshape(-1, size).tolist()
    return make_feedback_set(kind, rows, values, error_rate=0.0, items_per_query=size)


def agreed(preferences: list[float], counts: Tensor) -> float | None:
    return held_out_agreement([(said(Kind.PAIR, [*preferences], size=2), RETURNS, counts)])


def test_only_answers_out_of_a_members_bag_count_for_it() -> None:
    counts = torch.tensor([[0.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]])
    first, second = (1.0 + 0.0 + 0.5) / 3, (0.0 + 1.0) / 2
    assert agreed([1.0, 1.0, 1.0, 1.0], counts) == (first + second) / 2


def test_ties_and_members_that_have_everything_in_their_bag_do_not_count() -> None:
    counts = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    assert agreed([0.5, 0.0, 1.0, 0.5], counts) == 1.0


def test_without_anything_held_out_there_is_no_agreement() -> None:
    assert agreed([1.0] * 4, torch.ones(4, 2)) is None
    assert held_out_agreement([]) is None


def test_a_ranking_is_as_right_as_the_pairs_in_it() -> None:
    # Item 2 was called best, then 0, then 1: 2 over 0 is predicted, 2 over 1 a tie, 0 over 1 is wrong.
    orders = said(Kind.RANKING, [(2, 0, 1)], size=3)
    assert concordance(Kind.RANKING, torch.tensor([[1.0, 2.0, 2.0]]), orders.targets) == (1.5, 3)


def test_likes_compare_every_liked_clip_with_every_other() -> None:
    likes = said(Kind.LIKE, [True, False, True, False], size=1)
    # Liked 3 and 1, not liked 2 and 1: 3 > 2, 3 > 1, 1 < 2, 1 = 1.
    returns = torch.tensor([[3.0], [2.0], [1.0], [1.0]])
    assert concordance(Kind.LIKE, returns, likes.targets) == (2.5, 4)


def test_ratings_compare_every_two_clips_that_were_rated_differently() -> None:
    ratings = said(Kind.RATING, [10, 1, 1, 5], size=1)
    returns = torch.tensor([[0.0], [-1.0], [2.0], [1.0]])
    # 10 over 1 right, 10 over 1 wrong, 10 over 5 wrong, 5 over 1 right, 5 over 1 wrong; 1 and 1 say nothing.
    assert concordance(Kind.RATING, returns, ratings.targets) == (2.0, 5)


def test_kinds_are_judged_together_by_how_much_they_compare() -> None:
    likes = said(Kind.LIKE, [True, False], size=1)
    pairs = said(Kind.PAIR, [1.0, 1.0, 1.0, 1.0], size=2)
    returns, none = torch.tensor([[[0.0], [1.0]]] * 2), torch.zeros(2, 2)
    judged = [(likes, returns, none), (pairs, RETURNS, torch.zeros(4, 2))]
    assert held_out_agreement(judged) == pytest.approx(((0 + 2.5) / 5 + (0 + 2) / 5) / 2)
