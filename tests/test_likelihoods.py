"""Likelihoods of feedback: hand-computed numbers, invariances, gradients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prefrl.likelihoods import (
    agreement,
    centring_penalty,
    davidson_tie_loss,
    label_entropy,
    like_loss,
    loss_floor,
    pair_log_likelihood_loss,
    ranking_loss,
    rating_loss,
)

CUTPOINTS = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)

PairLoss = Callable[[Tensor, Tensor], Tensor]
PAIR_LOSSES: list[PairLoss] = [
    partial(pair_log_likelihood_loss, error_rate=0.0),
    partial(pair_log_likelihood_loss, error_rate=0.1),
    partial(davidson_tie_loss, log_nu=-0.3),
    partial(pair_log_likelihood_loss, error_rate=0.1, margin=torch.tensor(0.7)),
]
each_pair_loss = pytest.mark.parametrize(
    "loss", PAIR_LOSSES, ids=["bradley-terry", "errors", "davidson", "margin"]
)

a_return = st.floats(-50, 50)
a_probability = st.floats(0, 1)
some_pairs = st.lists(st.tuples(a_return, a_return, a_probability), min_size=1, max_size=8)


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def split(pairs: list[tuple[float, float, float]]) -> tuple[Tensor, Tensor]:
    table = double(pairs)
    return table[:, :2], table[:, 2]


@pytest.mark.parametrize(
    ("returns", "preference", "error_rate", "expected"),
    [
        ((0.0, 0.0), 1.0, 0.1, math.log(2)),
        ((1.0, 0.0), 1.0, 0.0, -math.log(1 / (1 + math.exp(-1)))),
        ((1.0, 0.0), 1.0, 0.1, -math.log(0.9 / (1 + math.exp(-1)) + 0.05)),
        ((1.0, 3.0), 0.0, 0.1, -math.log(0.9 / (1 + math.exp(-2)) + 0.05)),
        (
            (math.log(3), 0.0),
            0.75,
            0.0,
            -0.75 * math.log(0.75) - 0.25 * math.log(0.25),
        ),
        ((math.log(3), 0.0), 0.5, 0.2, -0.5 * math.log(0.7) - 0.5 * math.log(0.3)),
    ],
)
def test_the_pair_loss_equals_its_equation_computed_by_hand(
    returns: tuple[float, float], preference: float, error_rate: float, expected: float
) -> None:
    loss = pair_log_likelihood_loss(double([returns]), double([preference]), error_rate=error_rate)
    assert loss.item() == pytest.approx(expected)


def test_a_margin_is_taken_off_the_lead_of_the_better_side() -> None:
    returns, margin = double([[3.0, 1.0], [3.0, 1.0], [3.0, 1.0]]), double([0.5, 0.5, 0.0])
    losses = pair_log_likelihood_loss(returns, double([1.0, 0.0, 1.0]), error_rate=0.0, margin=margin)
    expected = [math.log(1 + math.exp(-(lead - m))) for lead, m in ((2, 0.5), (-2, 0.5), (2, 0.0))]
    torch.testing.assert_close(losses, double(expected))


def test_the_centring_penalty_equals_its_equation_and_is_least_around_zero() -> None:
    torch.testing.assert_close(centring_penalty(double([[1.0, 2.0], [-2.0, 2.0]])), double([9.0, 0.0]))


def test_the_default_error_rate_is_the_papers() -> None:
    loss = pair_log_likelihood_loss(double([[1e4, -1e4]]), double([1.0]))
    assert loss.item() == pytest.approx(-math.log(0.95))


@each_pair_loss
@given(pairs=some_pairs)
def test_swapping_sides_and_the_answer_leaves_the_loss_unchanged(
    loss: PairLoss, pairs: list[tuple[float, float, float]]
) -> None:
    returns, preference = split(pairs)
    torch.testing.assert_close(loss(returns, preference), loss(returns.flip(-1), 1 - preference))


@each_pair_loss
@given(pairs=some_pairs, shift=a_return)
def test_shifting_both_returns_leaves_the_pair_loss_unchanged(
    loss: PairLoss, pairs: list[tuple[float, float, float]], shift: float
) -> None:
    returns, preference = split(pairs)
    torch.testing.assert_close(loss(returns + shift, preference), loss(returns, preference))


@each_pair_loss
@given(pairs=some_pairs, seed=st.integers(0, 2**16))
def test_permuting_the_batch_permutes_the_losses(
    loss: PairLoss, pairs: list[tuple[float, float, float]], seed: int
) -> None:
    returns, preference = split(pairs)
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(loss(returns[order], preference[order]), loss(returns, preference)[order])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("error_rate", [0.0, 0.1])
@pytest.mark.parametrize("preference", [0.0, 0.5, 0.75, 1.0])
def test_the_pair_loss_and_its_gradient_stay_finite_far_out(
    dtype: torch.dtype, error_rate: float, preference: float
) -> None:
    returns = torch.tensor([[1e4, 0.0], [0.0, 1e4], [-1e4, 0.0], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    losses = pair_log_likelihood_loss(
        returns, torch.full((4,), preference, dtype=dtype), error_rate=error_rate
    )
    losses.sum().backward()
    assert returns.grad is not None
    assert losses.isfinite().all()
    assert returns.grad.isfinite().all()


@pytest.mark.parametrize("error_rate", [0.0, 0.1])
def test_the_pair_loss_has_the_right_gradient(error_rate: float) -> None:
    returns = double([[0.3, -1.0], [2.0, 2.5], [-4.0, 3.0]]).requires_grad_()
    preference = double([1.0, 0.5, 0.25])
    assert torch.autograd.gradcheck(
        lambda r: pair_log_likelihood_loss(r, preference, error_rate=error_rate), (returns,)
    )


def test_the_pair_loss_is_bounded_by_the_error_rate() -> None:
    loss = pair_log_likelihood_loss(double([[1e4, 0.0]]), double([0.0]), error_rate=0.1)
    assert loss.item() == pytest.approx(-math.log(0.05))


def test_members_at_once_equal_members_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    returns = torch.randn(3, 7, 4, generator=generator, dtype=torch.float64)
    preference = torch.rand(7, generator=generator, dtype=torch.float64)
    rating = torch.randint(0, 4, (7,), generator=generator)
    cases: list[tuple[Callable[[Tensor], Tensor], int]] = [
        (lambda r: pair_log_likelihood_loss(r, preference), 2),
        (lambda r: davidson_tie_loss(r, preference, 0.2), 2),
        (ranking_loss, 4),
        (lambda r: ranking_loss(r, torch.arange(4) < rating[:, None]), 4),
        (lambda r: like_loss(r, preference > 0.5), 1),
        (lambda r: rating_loss(r, rating, CUTPOINTS), 1),
        (lambda r: agreement(r, preference).unsqueeze(-1), 2),
    ]
    for loss, items in cases:
        at_once = loss(returns[..., :items])
        one_by_one = torch.stack([loss(member[:, :items]) for member in returns])
        torch.testing.assert_close(at_once, one_by_one)


def test_answers_in_double_precision_do_not_change_the_precision_of_the_loss() -> None:
    assert pair_log_likelihood_loss(torch.zeros(1, 2), double([1.0])).dtype == torch.float32


def test_the_ranking_loss_equals_its_equation_computed_by_hand() -> None:
    # exp(returns) are 1, 2, 3: P = 1/6 · 2/5 · 3/3.
    loss = ranking_loss(double([1.0, 2.0, 3.0]).log().unsqueeze(0))
    assert loss.item() == pytest.approx(-math.log(1 / 6 * 2 / 5))


def test_the_probabilities_of_all_rankings_sum_to_one() -> None:
    returns = double([0.3, -1.2, 2.0, 0.0])
    orders = torch.cartesian_prod(*[torch.arange(4)] * 4)
    orders = orders[[len(set(order.tolist())) == 4 for order in orders]]
    assert len(orders) == 24
    assert (-ranking_loss(returns[orders])).exp().sum().item() == pytest.approx(1.0)


@given(pairs=some_pairs)
def test_a_ranking_of_two_is_a_pair_without_errors(pairs: list[tuple[float, float, float]]) -> None:
    returns, _ = split(pairs)
    expected = pair_log_likelihood_loss(returns, torch.ones(len(pairs)), error_rate=0.0)
    torch.testing.assert_close(ranking_loss(returns), expected)


@given(returns=st.lists(a_return, min_size=1, max_size=6), shift=a_return)
def test_shifting_a_whole_ranking_leaves_its_loss_unchanged(returns: list[float], shift: float) -> None:
    ranking = double([returns])
    torch.testing.assert_close(ranking_loss(ranking + shift), ranking_loss(ranking))


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("padding", [0.0, 100.0, math.nan, math.inf])
def test_padding_a_ranking_changes_neither_loss_nor_gradient(padding: float) -> None:
    short = double([[0.5, -1.0, 2.0]]).requires_grad_()
    padded = double([[0.5, -1.0, 2.0, padding, padding]]).requires_grad_()
    loss = ranking_loss(padded, torch.tensor([[True, True, True, False, False]]))
    torch.testing.assert_close(loss, ranking_loss(short))
    (from_short,) = torch.autograd.grad(ranking_loss(short).sum(), short)
    with torch.autograd.detect_anomaly():
        (from_padded,) = torch.autograd.grad(loss.sum(), padded)
    torch.testing.assert_close(from_padded, torch.cat([from_short, torch.zeros(1, 2)], 1).double())


def test_a_gap_in_a_ranking_is_as_if_the_item_were_not_there() -> None:
    loss = ranking_loss(double([[0.5, 7.0, -1.0, 2.0]]), torch.tensor([[True, False, True, True]]))
    torch.testing.assert_close(loss, ranking_loss(double([[0.5, -1.0, 2.0]])))


def test_the_ranking_loss_has_the_right_gradient_and_a_finite_one_far_out() -> None:
    assert torch.autograd.gradcheck(ranking_loss, (double([[0.3, -1.0, 2.0]]).requires_grad_(),))
    far = torch.tensor([[-1e4, 0.0, 1e4]], requires_grad=True)
    (gradient,) = torch.autograd.grad(ranking_loss(far).sum(), far)
    torch.testing.assert_close(gradient, torch.tensor([[-1.0, -1.0, 2.0]]))


def test_the_ranking_loss_keeps_its_digits_far_from_zero() -> None:
    returns = torch.tensor([[1e4 + 1, 1e4]])
    torch.testing.assert_close(ranking_loss(returns), torch.tensor([math.log1p(math.exp(-1))]))


def test_like_and_dislike_equal_their_equation_computed_by_hand() -> None:
    returns = double([[math.log(3)], [math.log(3)], [0.0]])
    losses = like_loss(returns, torch.tensor([True, False, True]))
    torch.testing.assert_close(losses, -double([0.75, 0.25, 0.5]).log())


@given(value=a_return)
def test_a_like_is_the_dislike_of_the_opposite(value: float) -> None:
    returns, like = double([[value]]), torch.tensor([True])
    torch.testing.assert_close(like_loss(returns, like), like_loss(-returns, ~like))


def test_likes_far_out_have_finite_gradients() -> None:
    returns = torch.tensor([[1e4], [-1e4], [1e4]], requires_grad=True)
    (gradient,) = torch.autograd.grad(like_loss(returns, torch.tensor([1, 1, 0])).sum(), returns)
    torch.testing.assert_close(gradient, torch.tensor([[0.0], [-1.0], [1.0]]))


def test_ratings_equal_their_equation_computed_by_hand() -> None:
    losses = rating_loss(double([[0.7]] * 4), torch.arange(4), CUTPOINTS)
    below = torch.sigmoid(CUTPOINTS - 0.7)
    expected = torch.stack([below[0], below[1] - below[0], below[2] - below[1], 1 - below[2]])
    torch.testing.assert_close(losses, -expected.log())


@given(value=a_return)
def test_the_probabilities_of_all_ratings_sum_to_one(value: float) -> None:
    losses = rating_loss(double([[value]] * 4), torch.arange(4), CUTPOINTS)
    assert (-losses).exp().sum().item() == pytest.approx(1.0)


def test_a_better_return_makes_a_better_rating_more_likely() -> None:
    losses = rating_loss(double([[-9.0], [-0.2], [1.2], [9.0]])[:, None], torch.arange(4), CUTPOINTS)
    assert losses.argmin(dim=1).tolist() == [0, 1, 2, 3]


def test_ratings_have_the_right_gradient_and_a_finite_one_far_out() -> None:
    returns = double([[0.7], [-2.0], [3.0], [0.1]]).requires_grad_()
    cutpoints = CUTPOINTS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda r, c: rating_loss(r, torch.arange(4), c), (returns, cutpoints))
    for value in (-1e4, 1e4):
        far = torch.full((4, 1), value, requires_grad=True)
        losses = rating_loss(far, torch.arange(4), cutpoints)
        gradients = torch.autograd.grad(losses.sum(), (far, cutpoints))
        assert losses.isfinite().all()
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_davidson_equals_its_equation_computed_by_hand() -> None:
    # exp(returns) are 4 and 1, and ν = 3: left 4, tie 3 · √4, right 1.
    returns = double([[math.log(4), 0.0]] * 4)
    losses = davidson_tie_loss(returns, double([1.0, 0.5, 0.0, 0.75]), math.log(3))
    left, tie, right = (-math.log(weight / 11) for weight in (4, 6, 1))
    torch.testing.assert_close(losses, double([left, tie, right, (left + tie) / 2]))


def test_davidson_without_ties_is_bradley_terry() -> None:
    returns, preference = double([[0.3, -1.0], [2.0, 2.5]]), double([1.0, 0.0])
    expected = pair_log_likelihood_loss(returns, preference, error_rate=0.0)
    torch.testing.assert_close(davidson_tie_loss(returns, preference, -100.0), expected)


def test_davidson_has_the_right_gradient_also_for_the_share_of_ties() -> None:
    returns = double([[0.3, -1.0], [2.0, 2.5], [-4.0, 3.0]]).requires_grad_()
    log_nu = double(0.3).requires_grad_()
    preference = double([1.0, 0.5, 0.2])
    assert torch.autograd.gradcheck(lambda r, nu: davidson_tie_loss(r, preference, nu), (returns, log_nu))


def test_the_entropy_of_an_answer_is_that_of_the_labeller() -> None:
    careful = label_entropy(double([1.0, 0.5, 0.0]), error_rate=0.0)
    torch.testing.assert_close(careful, double([0.0, math.log(2), 0.0]))
    careless = label_entropy(double([1.0, 0.0]), error_rate=0.1)
    expected = -0.95 * math.log(0.95) - 0.05 * math.log(0.05)
    torch.testing.assert_close(careless, double([expected, expected]))


@given(preference=a_probability, difference=a_return, error_rate=st.floats(0, 0.9))
def test_no_returns_get_below_the_floor_of_the_loss(
    preference: float, difference: float, error_rate: float
) -> None:
    answers = double([preference])
    loss = pair_log_likelihood_loss(double([[difference, 0.0]]), answers, error_rate=error_rate)
    assert loss.item() >= loss_floor(answers, error_rate=error_rate).item() - 1e-9


def test_the_floor_of_the_loss_is_reached() -> None:
    answers = double([1.0, 0.0, 0.5, 0.75])
    best = double([[1e4, 0.0], [0.0, 1e4], [0.0, 0.0], [math.log(0.70 / 0.20), 0.0]])
    losses = pair_log_likelihood_loss(best, answers, error_rate=0.1)
    torch.testing.assert_close(losses, loss_floor(answers, error_rate=0.1))


def test_in_the_mean_over_answers_the_true_model_has_the_entropy_as_its_loss() -> None:
    error_rate, certain = 0.2, double([1.0])
    right = pair_log_likelihood_loss(double([[1e4, 0.0]]), certain, error_rate=error_rate)
    wrong = pair_log_likelihood_loss(double([[1e4, 0.0]]), 1 - certain, error_rate=error_rate)
    torch.testing.assert_close(0.9 * right + 0.1 * wrong, label_entropy(certain, error_rate=error_rate))


def test_agreement_counts_right_predictions_among_answers_that_are_no_ties() -> None:
    returns = double([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [5.0, 0.0]])
    assert agreement(returns, double([1.0, 0.0, 0.25, 0.5])).item() == pytest.approx(2 / 3)


def test_a_constant_reward_agrees_by_half() -> None:
    assert agreement(torch.zeros(2, 5, 2), torch.ones(5)).tolist() == [0.5, 0.5]


def test_agreement_with_nothing_but_ties_is_unknown() -> None:
    assert agreement(double([[1.0, 0.0]]), double([0.5])).isnan().all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: pair_log_likelihood_loss(torch.zeros(3, 3), torch.ones(3)),
        lambda: pair_log_likelihood_loss(torch.zeros(2), torch.ones(())),
        lambda: like_loss(torch.zeros(3, 2), torch.ones(3)),
        lambda: rating_loss(torch.zeros(3, 2), torch.ones(3), CUTPOINTS),
        lambda: davidson_tie_loss(torch.zeros(3, 1), torch.ones(3), 0.0),
        lambda: agreement(torch.zeros(3, 1), torch.ones(3)),
        lambda: ranking_loss(torch.zeros(3)),
        lambda: ranking_loss(torch.zeros(3, 0)),
    ],
)
def test_returns_of_a_wrong_shape_are_refused(call: Callable[[], Tensor]) -> None:
    with pytest.raises(ValueError, match="returns"):
        call()


@pytest.mark.parametrize("error_rate", [-0.1, 1.0, math.nan])
def test_an_impossible_error_rate_is_refused(error_rate: float) -> None:
    with pytest.raises(ValueError, match=r"error_rate must lie in \[0, 1\)"):
        pair_log_likelihood_loss(torch.zeros(1, 2), torch.ones(1), error_rate=error_rate)


# Errors of the labeller, in every likelihood alike.


@pytest.mark.parametrize("error_rate", [0.1, 0.5])
def test_a_careless_labeller_gives_every_answer_its_share_of_the_errors(error_rate: float) -> None:
    returns = torch.tensor([0.3, -1.2, 0.8, 0.1], dtype=torch.float64)
    orders = [returns[list(order)] for order in itertools.permutations(range(4))]
    cutpoints = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)
    ratings, alone = torch.arange(10), returns[:1].expand(10).unsqueeze(-1)
    for loss, answers in (
        (lambda e: ranking_loss(torch.stack(orders), error_rate=e), 24),
        (lambda e: rating_loss(alone, ratings, cutpoints, error_rate=e), 10),
        (lambda e: like_loss(alone[:2], torch.tensor([1.0, 0.0]), error_rate=e), 2),
    ):
        careful, careless = torch.exp(-loss(0.0)), torch.exp(-loss(error_rate))
        assert careless.sum().item() == pytest.approx(1.0)
        torch.testing.assert_close(careless, (1.0 - error_rate) * careful + error_rate / answers)


def test_errors_bound_the_loss_of_a_surprise() -> None:
    far = torch.tensor([[-1e4, 0.0, 1e4]])
    assert ranking_loss(far, error_rate=0.1).item() == pytest.approx(math.log(6 / 0.1))
    assert like_loss(far[:, :1], torch.ones(1), error_rate=0.1).item() == pytest.approx(math.log(2 / 0.1))
    cutpoints = torch.linspace(-2.0, 2.0, 9)
    top = rating_loss(far[:, :1], torch.tensor([9]), cutpoints, error_rate=0.1)
    assert top.item() == pytest.approx(math.log(10 / 0.1))


def test_a_ranking_of_two_is_a_pair_with_errors_too() -> None:
    returns = torch.tensor([[0.7, -0.4], [-3.0, 1.0]])
    pair = pair_log_likelihood_loss(returns, torch.ones(2), error_rate=0.1)
    torch.testing.assert_close(ranking_loss(returns, error_rate=0.1), pair)


def test_padding_a_ranking_changes_no_loss_with_errors_either() -> None:
    returns, mask = torch.tensor([[1.0, 0.2, math.nan]]), torch.tensor([[True, True, False]])
    plain = ranking_loss(returns[:, :2], error_rate=0.2)
    torch.testing.assert_close(ranking_loss(returns, mask, error_rate=0.2), plain)


def test_cutpoints_may_differ_between_members() -> None:
    returns = torch.tensor([[[0.5], [1.0]], [[-0.5], [2.0]]])
    ratings, cutpoints = torch.tensor([0, 2]), torch.tensor([[-1.0, 1.0], [0.0, 3.0]])
    both = rating_loss(returns, ratings, cutpoints)
    for member in range(2):
        torch.testing.assert_close(both[member], rating_loss(returns[member], ratings, cutpoints[member]))
