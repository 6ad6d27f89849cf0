"""Answers of every kind as the fitter takes them: what they are worth, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from prefrl.feedback import Kind, Value
from prefrl.feedback_sets import FeedbackSet, guess_loss, loss_floor, make_feedback_set
from prefrl.judged_answers import judged_outcome, judged_probability, shown_beside

E = 0.1
LOG_3 = math.log(3.0)


def said(kind: Kind, values: list[Value], *, size: int) -> FeedbackSet:
    rows = torch.arange(len(values) * size).reshape(-1, size).tolist()
    return make_feedback_set(kind, rows, values, error_rate=E, items_per_query=size)


def loss_of(part: FeedbackSet, returns: list[list[float]], *cutpoints: Tensor) -> list[float]:
    """Of one member."""
    return part.loss(torch.tensor([returns]), part.targets, *cutpoints)[0].tolist()


def test_a_ranking_is_chosen_item_by_item_in_the_order_of_its_places() -> None:
    # Item 2 best, then 0, then 1; exp(return) is 3, 1 and 3: 3/7, then 3/4.
    part = said(Kind.RANKING, [(2, 0, 1)], size=3)
    probability = 3 / 7 * 3 / 4
    assert loss_of(part, [[LOG_3, 0.0, LOG_3]]) == pytest.approx([-math.log(0.9 * probability + 0.1 / 6)])


def test_a_like_is_worth_the_logistic_function_of_the_return() -> None:
    part = said(Kind.LIKE, [True, False], size=1)
    expected = [-math.log(0.9 * 0.75 + 0.05), -math.log(0.9 * 0.25 + 0.05)]
    assert loss_of(part, [[LOG_3], [LOG_3]]) == pytest.approx(expected)


def test_a_rating_is_worth_what_lies_between_its_cutpoints() -> None:
    part = said(Kind.RATING, [1, 2, 10], size=1)
    cutpoints = torch.tensor([[-LOG_3, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, LOG_3 + 6.0]])
    # At a return of 0: below the first cutpoint 1/4, between the first and the second 1/4.
    first, second = 0.9 / 4 + 0.01, 0.9 / 4 + 0.01
    top = 0.9 * (1 - 1 / (1 + math.exp(-(LOG_3 + 6.0)))) + 0.01
    expected = [-math.log(one) for one in (first, second, top)]
    assert loss_of(part, [[0.0], [0.0], [0.0]], cutpoints) == pytest.approx(expected, rel=1e-5)


def test_members_rate_on_scales_of_their_own() -> None:
    part = said(Kind.RATING, [5], size=1)
    scales = torch.linspace(-4.0, 4.0, 9).repeat(2, 1) + torch.tensor([[0.0], [1.5]])
    both = part.loss(torch.tensor([[[0.3]], [[1.8]]]), part.targets, scales)
    torch.testing.assert_close(both[0], both[1])  # a return and a scale shifted alike


@pytest.mark.parametrize(
    ("kind", "values", "size", "outcomes"),
    [
        (Kind.PAIR, [1.0], 2, 2),
        (Kind.RANKING, [(1, 0, 2, 3)], 4, 24),
        (Kind.LIKE, [False], 1, 2),
        (Kind.RATING, [7], 1, 10),
    ],
)
def test_an_answer_can_be_no_surer_than_errors_allow(
    kind: Kind, values: list[Value], size: int, outcomes: int
) -> None:
    part = said(kind, values, size=size)
    assert loss_floor(part, E).tolist() == pytest.approx([-math.log(1 - E + E / outcomes)])
    assert guess_loss(part).tolist() == pytest.approx([math.log(outcomes)])


def test_a_tie_costs_log_two_at_least() -> None:
    assert loss_floor(said(Kind.PAIR, [0.5], size=2), E).tolist() == pytest.approx([math.log(2.0)])


def test_no_answers_are_a_set_of_the_right_shape() -> None:
    for kind, size in ((Kind.PAIR, 2), (Kind.RANKING, 4), (Kind.LIKE, 1), (Kind.RATING, 1)):
        empty = said(kind, [], size=size)
        assert (empty.items.shape, len(empty), empty.counts) == ((0, size), 0, False)


# What each answer is judged by.


def test_the_judged_event_has_its_probability_and_its_outcome() -> None:
    returns = torch.tensor([[[LOG_3, 0.0, 9.0]], [[0.0, 0.0, 9.0]]])
    ranked = said(Kind.RANKING, [(2, 1, 0)], size=3)
    probability = judged_probability(ranked, returns, error_rate=E)
    torch.testing.assert_close(probability, torch.tensor([[0.9 * 0.75 + 0.05], [0.5]]))
    assert judged_outcome(ranked).tolist() == [0.0]
    assert judged_outcome(said(Kind.RANKING, [(0, 2, 1)], size=3)).tolist() == [1.0]
    liked = said(Kind.LIKE, [True], size=1)
    probability = judged_probability(liked, returns[..., :1], error_rate=E)
    torch.testing.assert_close(probability, torch.tensor([[0.9 * 0.75 + 0.05], [0.5]]))
    assert judged_outcome(liked).tolist() == [1.0]
    rated = said(Kind.RATING, [5, 6], size=1)
    cutpoints = torch.arange(9.0).repeat(2, 1)  # the fifth is 4
    probability = judged_probability(
        rated, torch.full((2, 2, 1), 4.0 + LOG_3), error_rate=E, cutpoints=cutpoints
    )
    torch.testing.assert_close(probability, torch.full((2, 2), 0.9 * 0.75 + 0.05))
    assert judged_outcome(rated).tolist() == [0.0, 1.0]


def test_the_newest_answers_are_shown_as_pairs() -> None:
    ranked = said(Kind.RANKING, [(0, 1, 2), (2, 1, 0)], size=3)
    rows, preference, places = shown_beside(ranked, 5)
    assert (rows.tolist(), preference.tolist(), places.tolist()) == ([[3, 4], [0, 1]], [0.0, 1.0], [1, 0])
    rated = said(Kind.RATING, [9, 3, 7, 7, 2], size=1)  # the newest two, and the two before
    rows, preference, places = shown_beside(rated, 5)
    assert (rows.tolist(), preference.tolist(), places.tolist()) == ([[3, 4], [1, 2]], [1.0, 0.0], [3, 1])
    alone = shown_beside(said(Kind.LIKE, [True], size=1), 5)
    assert [len(part) for part in alone] == [0, 0, 0]
