"""Direct preference losses: hand-computed numbers, invariances, what they equal, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prefrl.direct_losses import (
    balanced_weights,
    contrastive_loss,
    discounted_log_prob,
    dpo_loss,
    ipo_loss,
    kto_loss,
    kto_reference_point,
    mismatched,
    ranked_dpo_loss,
)

PairLoss = Callable[[Tensor, Tensor], Tensor]
PAIR_LOSSES: dict[str, PairLoss] = {
    "dpo": partial(dpo_loss, beta=0.3),
    "conservative": partial(dpo_loss, beta=0.3, label_smoothing=0.1),
    "robust": partial(dpo_loss, beta=0.3, label_smoothing=0.1, smoothing="robust"),
    "ipo": partial(ipo_loss, beta=0.3),
    "contrastive": partial(contrastive_loss, alpha=0.3),
    "biased contrastive": partial(contrastive_loss, alpha=0.3, bias=0.5),
}
each_pair_loss = pytest.mark.parametrize("loss", PAIR_LOSSES.values(), ids=PAIR_LOSSES.keys())
a_ratio = st.floats(-30, 30)
some_pairs = st.lists(st.tuples(a_ratio, a_ratio, st.floats(0, 1)), min_size=1, max_size=6)


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def split(pairs: list[tuple[float, float, float]]) -> tuple[Tensor, Tensor]:
    table = double(pairs)
    return table[:, :2], table[:, 2]


def log_sigmoid(value: float) -> float:
    return -math.log(1 + math.exp(-value))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Log-ratios 2 and -1, so d = 3 and beta d = 0.9.
        ("dpo", -log_sigmoid(0.9)),
        ("conservative", -0.9 * log_sigmoid(0.9) - 0.1 * log_sigmoid(-0.9)),
        ("robust", (-0.9 * log_sigmoid(0.9) + 0.1 * log_sigmoid(-0.9)) / 0.8),
        ("ipo", (3 - 1 / 0.6) ** 2),
        ("contrastive", -log_sigmoid(0.9)),
        ("biased contrastive", math.log(1 + math.exp(-0.15 - 0.6))),
    ],
)
def test_pair_losses_equal_their_equations_computed_by_hand(name: str, expected: float) -> None:
    assert PAIR_LOSSES[name](double([[2.0, -1.0]]), double([1.0])).item() == pytest.approx(expected)


@each_pair_loss
@given(pairs=some_pairs)
def test_swapping_sides_and_the_answer_leaves_the_loss_unchanged(
    loss: PairLoss, pairs: list[tuple[float, float, float]]
) -> None:
    ratios, preference = split(pairs)
    torch.testing.assert_close(loss(ratios.flip(-1), 1 - preference), loss(ratios, preference))


@pytest.mark.parametrize("name", [name for name in PAIR_LOSSES if name != "biased contrastive"])
@given(pairs=some_pairs, shift=a_ratio)
def test_shifting_both_sides_leaves_the_loss_unchanged(
    name: str, pairs: list[tuple[float, float, float]], shift: float
) -> None:
    ratios, preference = split(pairs)
    torch.testing.assert_close(
        PAIR_LOSSES[name](ratios + shift, preference), PAIR_LOSSES[name](ratios, preference)
    )


@each_pair_loss
@given(pairs=some_pairs, seed=st.integers(0, 2**16))
def test_permuting_the_batch_permutes_the_losses(
    loss: PairLoss, pairs: list[tuple[float, float, float]], seed: int
) -> None:
    ratios, preference = split(pairs)
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(loss(ratios[order], preference[order]), loss(ratios, preference)[order])


@each_pair_loss
def test_pair_losses_have_the_right_gradient_and_a_finite_one_far_out(loss: PairLoss) -> None:
    preference = double([1.0, 0.0, 0.5, 0.25])
    ratios = double([[0.3, -1.0], [2.0, 2.5], [-4.0, 3.0], [1.0, 1.0]]).requires_grad_()
    assert torch.autograd.gradcheck(lambda r: loss(r, preference), (ratios,))
    far = torch.tensor([[1e4, 0.0], [1e4, 0.0], [0.0, 1e4], [-1e4, -1e4]], requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(far, preference.float()).sum(), far)
    assert gradient.isfinite().all()


def test_conservative_smoothing_is_least_where_the_better_side_has_the_share_of_right_labels() -> None:
    margin = double([math.log(0.9 / 0.1) / 0.3, 0.0]).unsqueeze(0).requires_grad_()
    (gradient,) = torch.autograd.grad(PAIR_LOSSES["conservative"](margin, double([1.0])).sum(), margin)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


@given(left=a_ratio, right=a_ratio)
def test_the_robust_loss_of_flipped_labels_has_the_plain_loss_as_its_mean(left: float, right: float) -> None:
    ratios, robust = double([[left, right]]), PAIR_LOSSES["robust"]
    mean = 0.9 * robust(ratios, double([1.0])) + 0.1 * robust(ratios, double([0.0]))
    torch.testing.assert_close(mean, dpo_loss(ratios, double([1.0]), beta=0.3))


def test_the_target_margin_of_ipo_is_reached_and_ties_aim_at_none() -> None:
    ratios = double([[5.0, 5.0 - 1 / 0.6], [5.0, 5.0 + 1 / 0.6], [4.0, 4.0]])
    torch.testing.assert_close(
        ipo_loss(ratios, double([1.0, 0.0, 0.5]), beta=0.3), torch.zeros(3, dtype=torch.float64)
    )


def test_ipo_with_lengths_is_ipo_on_each_sides_mean_over_tokens() -> None:
    ratios, lengths = double([[6.0, -4.0]]), torch.tensor([[3, 8]])
    torch.testing.assert_close(
        ipo_loss(ratios, double([1.0]), beta=0.3, lengths=lengths),
        ipo_loss(double([[2.0, -0.5]]), double([1.0]), beta=0.3),
    )


def test_kto_equals_its_equations_computed_by_hand() -> None:
    losses = kto_loss(
        double([2.0, 2.0]),
        torch.tensor([True, False]),
        0.5,
        beta=0.4,
        desirable_weight=3.0,
        undesirable_weight=5.0,
    )
    right = 1 / (1 + math.exp(-0.4 * 1.5))
    torch.testing.assert_close(losses, double([3 * (1 - right), 5 * right]))


@given(ratio=a_ratio, point=st.floats(0, 10))
def test_a_like_below_the_reference_point_costs_what_a_dislike_above_it_costs(
    ratio: float, point: float
) -> None:
    like, dislike = torch.tensor([True]), torch.tensor([False])
    torch.testing.assert_close(
        kto_loss(double([point + ratio]), like, point, beta=0.2),
        kto_loss(double([point - ratio]), dislike, point, beta=0.2),
    )


def test_the_reference_point_is_a_mean_not_below_zero_and_without_gradient() -> None:
    ratios = double([1.0, 3.0, -1.0]).requires_grad_()
    point = kto_reference_point(ratios)
    assert point.item() == 1.0
    assert not point.requires_grad
    assert kto_reference_point(-ratios).item() == 0.0


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ([4, 9, 2], [2, 0, 1]),
        ([1, 1, 2, 3], [3, 3, 1, 2]),
        ([5, 6, 5, 6], [3, 0, 1, 2]),
        ([1, 2, 2], [2, 0, 0]),
    ],
)
def test_each_prompt_gets_the_nearest_response_before_it_to_another_prompt(
    prompts: list[int], expected: list[int]
) -> None:
    assert mismatched(torch.tensor(prompts)).tolist() == expected


@pytest.mark.parametrize("prompts", [[], [3], [3, 3, 3]])
def test_a_single_prompt_has_no_mismatched_pairs(prompts: list[int]) -> None:
    with pytest.raises(ValueError, match="no mismatched pairs"):
        mismatched(torch.tensor(prompts))


@given(likes=st.integers(1, 30), dislikes=st.integers(1, 30), ratio=st.floats(1, 1.5))
def test_balanced_weights_give_likes_and_dislikes_the_wanted_ratio(
    likes: int, dislikes: int, ratio: float
) -> None:
    liked, disliked = balanced_weights(torch.tensor([True] * likes + [False] * dislikes), ratio=ratio)
    assert liked * likes == pytest.approx(ratio * disliked * dislikes)
    assert (liked if likes >= dislikes else disliked) == 1.0


def test_there_is_nothing_to_balance_where_everything_is_liked() -> None:
    assert balanced_weights(torch.tensor([True, True])) == (1.0, 1.0)


def test_a_ranking_of_two_is_a_pair() -> None:
    ratios = double([[2.0, -1.0], [0.5, 3.0]])
    torch.testing.assert_close(ranked_dpo_loss(ratios, beta=0.3), dpo_loss(ratios, torch.ones(2), beta=0.3))


def test_a_ranking_equals_its_equation_computed_by_hand_and_padding_changes_nothing() -> None:
    # exp(beta ratio) are 1, 2, 3.
    ratios = double([[1.0, 2.0, 3.0]]).log() / 0.1
    expected = double([-math.log(1 / 6 * 2 / 5)])
    torch.testing.assert_close(ranked_dpo_loss(ratios, beta=0.1), expected)
    padded = torch.cat([ratios, double([[math.nan]])], 1)
    mask = torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(ranked_dpo_loss(padded, mask, beta=0.1), expected)


def test_discounted_log_probs_equal_numbers_computed_by_hand() -> None:
    log_prob = double([[-1.0, -2.0, -4.0], [-1.0, -2.0, math.nan]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    torch.testing.assert_close(discounted_log_prob(log_prob, discount=0.5, mask=mask), double([-3.0, -2.0]))
    torch.testing.assert_close(discounted_log_prob(log_prob[:1], discount=1.0), double([-7.0]))


def test_direct_and_contrastive_losses_agree_where_the_reference_is_uniform() -> None:
    # A reference that finds everything equally likely shifts both sides alike.
    log_probs, preference = double([[-3.0, -5.0], [-4.0, -1.0]]), double([1.0, 0.25])
    torch.testing.assert_close(
        contrastive_loss(log_probs, preference, alpha=0.1), dpo_loss(log_probs + 7.0, preference, beta=0.1)
    )


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: dpo_loss(torch.zeros(3), torch.zeros(3), beta=0.1), r"\[\.\.\., n, 2\]"),
        (lambda: dpo_loss(torch.zeros(3, 2), torch.zeros(3), beta=0.0), "beta must be above 0"),
        (
            lambda: dpo_loss(torch.zeros(3, 2), torch.zeros(3), beta=1.0, label_smoothing=0.5),
            "label_smoothing",
        ),
        (lambda: ipo_loss(torch.zeros(3, 3), torch.zeros(3), beta=0.1), r"\[\.\.\., n, 2\]"),
        (lambda: kto_loss(torch.zeros(3), torch.ones(3), 0.0, beta=-1.0), "beta must be above 0"),
        (lambda: contrastive_loss(torch.zeros(3, 2), torch.zeros(3), alpha=0.1, bias=0.0), "bias must lie"),
    ],
)
def test_impossible_settings_and_shapes_are_refused(call: Callable[[], Tensor], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        call()
