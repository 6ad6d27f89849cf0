"""Reductions of losses per token: hand-computed numbers, padding, permutation, micro-batches."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prefrl.ppo_config import Reduction
from prefrl.reductions import loss_weight, masked_mean
from prefrl.reductions import reduce_loss as reduce_loss_by

seeds = st.integers(0, 2**16)
REDUCTIONS: tuple[Reduction, ...] = (
    "mean",
    "sequence_mean_of_means",
    "sequence_mean_of_sums",
    "sum_over_constant",
)
reduce_loss = partial(reduce_loss_by, constant_length=4)
"""A constant length makes no difference to the reductions that do not ask for one."""


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_masked_mean_is_the_mean_of_what_is_kept_and_zero_of_nothing() -> None:
    values = double([[1.0, 2.0], [3.0, 100.0]])
    assert masked_mean(values, None).item() == pytest.approx(26.5)
    assert masked_mean(values, torch.tensor([[True, True], [True, False]])).item() == pytest.approx(2.0)
    assert masked_mean(values, torch.zeros(2, 2)).item() == 0.0


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("mean", 14 / 4),
        ("sequence_mean_of_means", (2 + 8) / 2),
        ("sequence_mean_of_sums", (6 + 8) / 2),
        ("sum_over_constant", (6 + 8) / 4 / 2),
    ],
)
def test_the_reductions_equal_numbers_computed_by_hand(reduction: Reduction, expected: float) -> None:
    losses, mask = double([[1.0, 2.0, 3.0], [8.0, 99.0, 99.0]]), double([[1, 1, 1], [1, 0, 0]])
    assert reduce_loss(losses, mask, reduction).item() == pytest.approx(expected)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_reduction_without_a_mask_is_one_with_a_mask_of_ones(reduction: Reduction) -> None:
    losses = double([[1.0, 2.0, 3.0], [8.0, 9.0, 10.0]])
    torch.testing.assert_close(
        reduce_loss(losses, None, reduction), reduce_loss(losses, torch.ones(2, 3), reduction)
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@given(seed=seeds, padding=st.integers(1, 5))
def test_padding_leaves_every_reduction_and_its_gradient_unchanged(
    reduction: Reduction, seed: int, padding: int
) -> None:
    rng = np.random.default_rng(seed)
    losses = torch.from_numpy(rng.normal(size=(3, 4))).requires_grad_()
    mask = torch.from_numpy(rng.random((3, 4)) < 0.7)
    junk = torch.from_numpy(rng.normal(size=(3, padding)))
    padded = torch.cat([losses, junk], 1), torch.cat([mask, torch.zeros(3, padding, dtype=torch.bool)], 1)
    expected, actual = reduce_loss(losses, mask, reduction), reduce_loss(*padded, reduction)
    torch.testing.assert_close(actual, expected)
    gradients = (torch.autograd.grad(loss, losses)[0] for loss in (actual, expected))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@given(seed=seeds)
def test_micro_batches_weighed_by_their_share_add_up_to_the_whole(reduction: Reduction, seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses = torch.from_numpy(rng.normal(size=(6, 4)))
    mask = torch.from_numpy(rng.random((6, 4)) < 0.7)
    whole = reduce_loss(losses, mask, reduction)
    parts = [slice(0, 1), slice(1, 4), slice(4, 6)]
    # A mean over steps is weighed by the steps of each part, a mean over sequences by its sequences.
    weights = [mask[part].sum() if reduction == "mean" else len(losses[part]) for part in parts]
    total = sum(
        reduce_loss(losses[part], mask[part], reduction) * w for part, w in zip(parts, weights, strict=True)
    )
    torch.testing.assert_close(total / sum(weights), whole)


@pytest.mark.parametrize("reduction", REDUCTIONS[1:])
def test_a_reduction_over_sequences_refuses_losses_of_single_steps(reduction: Reduction) -> None:
    with pytest.raises(ValueError, match=r"\[sequences, time\], not \(4,\): use mean"):
        reduce_loss(torch.ones(4), None, reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@given(seed=seeds)
def test_micro_batches_that_know_the_weight_of_the_whole_add_up_to_it_with_their_gradients(
    reduction: Reduction, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    losses = torch.from_numpy(rng.normal(size=(6, 4))).requires_grad_()
    mask = torch.from_numpy(rng.random((6, 4)) < 0.7)
    whole = loss_weight(losses, mask, reduction)
    parts = [slice(0, 1), slice(1, 4), slice(4, 6)]
    total = sum(reduce_loss(losses[part], mask[part], reduction, whole=whole) for part in parts)
    expected = reduce_loss(losses, mask, reduction)
    torch.testing.assert_close(total, expected)
    gradients = (torch.autograd.grad(loss, losses)[0] for loss in (total, expected))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@given(seed=seeds)
def test_the_order_of_sequences_does_not_matter(reduction: Reduction, seed: int) -> None:
    rng = np.random.default_rng(seed)
    losses, mask = torch.from_numpy(rng.normal(size=(5, 3))), torch.from_numpy(rng.random((5, 3)) < 0.7)
    order = torch.from_numpy(rng.permutation(5))
    torch.testing.assert_close(
        reduce_loss(losses[order], mask[order], reduction), reduce_loss(losses, mask, reduction)
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_batch_of_masked_sequences_costs_nothing(reduction: Reduction) -> None:
    assert reduce_loss(torch.ones(2, 3), torch.zeros(2, 3), reduction).item() == 0.0
    assert loss_weight(torch.ones(2, 3), torch.zeros(2, 3), "mean").item() == 1.0


def test_a_division_by_a_constant_needs_the_constant() -> None:
    with pytest.raises(ValueError, match="needs constant_length"):
        reduce_loss_by(torch.ones(2, 3), None, "sum_over_constant")
