"""Process supervision: hand-computed numbers, padding, exact marks, dense advantages."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prefrl.group_advantages import grpo_advantages
from prefrl.process_rewards import (
    Aggregation,
    aggregate_steps,
    dense_group_advantages,
    first_wrong_step,
    place_step_scores,
    step_mark_loss,
)

AGGREGATIONS: tuple[Aggregation, ...] = ("minimum", "product", "last", "mean")


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_each_steps_score_stands_at_its_last_token() -> None:
    rewards = place_step_scores(
        double([[0.5, -1.0], [2.0, math.nan]]),
        torch.tensor([[1, 3], [0, -7]]),
        length=4,
        mask=torch.tensor([[True, True], [True, False]]),
    )
    torch.testing.assert_close(rewards, double([[0.0, 0.5, 0.0, -1.0], [2.0, 0.0, 0.0, 0.0]]))


@pytest.mark.parametrize(
    ("last", "complaint"), [([[0, 4]], r"0 \.\. 3, not \[0, 4\]"), ([[0]], r"give \[n, steps\]")]
)
def test_steps_beyond_the_item_are_refused(last: list[list[int]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        place_step_scores(torch.zeros(1, 2), torch.tensor(last), length=4)


def test_the_loss_on_marks_equals_its_equation_computed_by_hand() -> None:
    scores = double([[math.log(3), math.log(3), 0.0], [5.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True], [False, False, False]])
    loss = step_mark_loss(scores, double([[1.0, 0.0, 0.5], [1.0, 1.0, 1.0]]), mask)
    torch.testing.assert_close(loss, double([-(math.log(0.75) + math.log(0.25) + math.log(0.5)) / 3, 0.0]))


@pytest.mark.parametrize("junk", [0.0, 9.0, math.nan])
def test_padding_with_steps_changes_neither_loss_nor_gradient(junk: float) -> None:
    scores = double([[0.3, -1.0]]).requires_grad_()
    padded = double([[0.3, -1.0, junk]]).requires_grad_()
    mask = torch.tensor([[True, True, False]])
    loss = step_mark_loss(padded, double([[1.0, 0.0, junk]]), mask)
    expected = step_mark_loss(scores, double([[1.0, 0.0]]))
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss.sum(), padded)
    torch.testing.assert_close(gradient[:, :2], torch.autograd.grad(expected.sum(), scores)[0])
    assert gradient[0, 2] == 0
    for aggregation in AGGREGATIONS:
        torch.testing.assert_close(
            aggregate_steps(padded, aggregation, mask), aggregate_steps(scores, aggregation)
        )
    assert first_wrong_step(padded, mask).tolist() == [1]


def test_members_of_an_ensemble_are_marked_at_once() -> None:
    scores = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    right, mask = torch.ones(2, 4), torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    at_once = step_mark_loss(scores, right, mask)
    torch.testing.assert_close(
        at_once, torch.stack([step_mark_loss(member, right, mask) for member in scores])
    )


def test_aggregates_equal_numbers_computed_by_hand() -> None:
    scores = double([[2.0, -1.0, 0.5]])
    assert aggregate_steps(scores, "minimum").item() == -1.0
    assert aggregate_steps(scores, "last").item() == 0.5
    assert aggregate_steps(scores, "mean").item() == pytest.approx(0.5)
    product = math.prod(1 / (1 + math.exp(-score)) for score in (2.0, -1.0, 0.5))
    assert aggregate_steps(scores, "product").exp().item() == pytest.approx(product)


@given(scores=st.lists(st.floats(-20, 20), min_size=1, max_size=6), seed=st.integers(0, 2**16))
def test_only_the_last_step_depends_on_the_order(scores: list[float], seed: int) -> None:
    steps = double([scores])
    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(seed))
    for aggregation in ("minimum", "product", "mean"):
        torch.testing.assert_close(
            aggregate_steps(steps[:, order], aggregation), aggregate_steps(steps, aggregation)
        )


def test_an_item_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="no steps to aggregate"):
        aggregate_steps(torch.zeros(1, 2), "minimum", torch.zeros(1, 2))


def test_the_first_step_that_is_likelier_wrong_is_found() -> None:
    scores = double([[1.0, -0.1, -5.0], [1.0, 2.0, 0.0], [-1.0, 3.0, 3.0]])
    assert first_wrong_step(scores).tolist() == [1, -1, 0]
    assert first_wrong_step(scores, threshold=0.5).tolist() == [1, 2, 0]


def test_dense_advantages_equal_numbers_computed_by_hand() -> None:
    # One group with step scores 1, 3 and 2: mean 2, deviation 1. The second item has one step.
    advantages = dense_group_advantages(
        double([[1.0, 3.0], [2.0, 9.0]]),
        torch.tensor([[1, 2], [0, 0]]),
        torch.tensor([4, 4]),
        length=4,
        mask=torch.tensor([[True, True], [True, False]]),
        epsilon=0.0,
    )
    # Steps weigh -1, 1 and 0; what lies behind the last step has nothing to come.
    torch.testing.assert_close(advantages, double([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))


@given(seed=st.integers(0, 2**16))
def test_with_one_step_at_the_end_dense_advantages_are_those_of_the_group(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(6, 1, generator=generator, dtype=torch.float64)
    groups = torch.tensor([0, 0, 0, 1, 1, 2])
    dense = dense_group_advantages(scores, torch.full((6, 1), 4), groups, length=5)
    expected = grpo_advantages(scores[:, 0], groups).advantages.unsqueeze(1).expand(6, 5)
    torch.testing.assert_close(dense, expected)
