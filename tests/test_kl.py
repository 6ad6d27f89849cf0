"""Divergence from a reference: estimates against enumeration, exact values, penalties, controllers."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.kl import exact_kl, kl_estimates, kl_loss, kl_penalty
from prefrl.kl_controllers import AdaptiveKL, FixedKL, KLConfig, adapted_coefficient, make_kl_controller
from prefrl.ppo_config import KLEstimator

seeds = st.integers(0, 2**16)


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def some_logits(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@given(seed=seeds)
def test_k1_and_k3_are_unbiased_and_k2_and_k3_never_negative(seed: int) -> None:
    rng = np.random.default_rng(seed)
    log_p, log_q = (torch.log_softmax(torch.from_numpy(rng.normal(size=5)), 0) for _ in range(2))
    exact = (log_p.exp() * (log_p - log_q)).sum()
    k1, k2, k3 = kl_estimates(log_p, log_q)
    torch.testing.assert_close((log_p.exp() * k1).sum(), exact)
    torch.testing.assert_close((log_p.exp() * k3).sum(), exact)
    assert (k2 >= 0).all()
    assert (k3 >= -1e-12).all()


def test_the_kl_estimates_equal_their_equations_computed_by_hand() -> None:
    k1, k2, k3 = kl_estimates(double([math.log(2.0)]), double([0.0]))
    assert (k1.item(), k2.item(), k3.item()) == pytest.approx(
        (math.log(2), math.log(2) ** 2 / 2, 0.5 - 1 + math.log(2))
    )


def test_k3_keeps_its_digits_where_the_policies_hardly_differ() -> None:
    difference = torch.tensor([1e-3], dtype=torch.float32)
    assert kl_estimates(difference, torch.zeros(1))[2].item() == pytest.approx(5e-7, rel=1e-2)


@given(seed=seeds)
def test_each_estimate_as_a_loss_has_the_gradient_that_is_said_of_it(seed: int) -> None:
    logits = some_logits(seed, 6).requires_grad_()
    log_p, log_q = torch.log_softmax(logits, 0), torch.log_softmax(some_logits(seed + 1, 6), 0)
    reverse = torch.autograd.grad(exact_kl(log_p, log_q), logits, retain_graph=True)[0]
    forward = torch.autograd.grad(exact_kl(log_q, log_p), logits, retain_graph=True)[0]
    expected: dict[KLEstimator, Tensor] = {
        "k1": torch.zeros_like(reverse),
        "k2": reverse,
        "k3": forward,
        "k3_gradient_of_k2": reverse,
    }
    for estimator, wanted in expected.items():
        # Samples of the policy: each token as often as it is likely, and no gradient through that.
        loss = (log_p.exp().detach() * kl_loss(log_p, log_q, estimator)).sum()
        (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
        torch.testing.assert_close(gradient, wanted)


def test_the_combined_estimate_has_the_value_of_k3() -> None:
    log_p, log_q = torch.log_softmax(some_logits(0, 4), 0), torch.log_softmax(some_logits(1, 4), 0)
    torch.testing.assert_close(kl_loss(log_p, log_q, "k3_gradient_of_k2"), kl_loss(log_p, log_q, "k3"))


def test_the_exact_divergence_equals_its_equation_computed_by_hand() -> None:
    log_p, log_q = double([0.5, 0.25, 0.25]).log(), double([0.25, 0.25, 0.5]).log()
    assert exact_kl(log_p, log_q).item() == pytest.approx(0.5 * math.log(2) - 0.25 * math.log(2))
    assert exact_kl(log_p, log_p).item() == 0.0


def test_what_the_policy_never_does_adds_neither_value_nor_gradient() -> None:
    log_p = double([math.log(0.5), math.log(0.5), -math.inf]).requires_grad_()
    log_q = double([math.log(0.25), math.log(0.5), math.log(0.25)])
    kl = exact_kl(log_p, log_q)
    (gradient,) = torch.autograd.grad(kl, log_p)
    assert kl.item() == pytest.approx(0.5 * math.log(2))
    assert gradient.isfinite().all()
    assert gradient[2] == 0
    assert exact_kl(log_q, log_p.detach()).item() == math.inf


@given(seed=seeds)
def test_exact_divergences_along_samples_average_to_that_of_whole_sequences(seed: int) -> None:
    # Two tokens of three symbols each; the second depends on the first.
    first_p, first_q = (torch.log_softmax(some_logits(seed + i, 3), -1) for i in (0, 1))
    second_p, second_q = (torch.log_softmax(some_logits(seed + i, 3, 3), -1) for i in (2, 3))
    whole = along = 0.0
    for a, b in product(range(3), range(3)):
        probability = (first_p[a] + second_p[a, b]).exp()
        whole += probability * (first_p[a] + second_p[a, b] - first_q[a] - second_q[a, b])
        along += probability * (exact_kl(first_p, first_q) + exact_kl(second_p[a], second_q[a]))
    torch.testing.assert_close(along, whole)


def test_the_penalty_per_token_equals_numbers_computed_by_hand() -> None:
    log_prob = double([[-1.0, -2.0, -9.0], [-1.0, -1.0, math.nan]])
    reference = double([[-2.0, -1.0, 5.0], [-1.0, -1.0, -1.0]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 0]])
    penalty = kl_penalty(log_prob, reference, coefficient=0.5, mask=mask)
    torch.testing.assert_close(penalty, double([[-0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]))


@given(seed=seeds, coefficient=st.floats(0, 2))
def test_on_samples_of_the_policy_the_penalty_is_the_divergence_in_the_mean(
    seed: int, coefficient: float
) -> None:
    log_p, log_q = (torch.log_softmax(some_logits(seed + i, 5), 0) for i in (0, 1))
    mean = (log_p.exp() * kl_penalty(log_p, log_q, coefficient=coefficient)).sum()
    torch.testing.assert_close(mean, -coefficient * exact_kl(log_p, log_q))


def test_no_gradient_flows_through_a_penalty() -> None:
    log_prob = torch.zeros(1, 2, requires_grad=True)
    assert not kl_penalty(log_prob, torch.ones(1, 2), coefficient=1.0).requires_grad


def test_the_controller_equals_its_equation_computed_by_hand() -> None:
    # An error of 10% over a tenth of the horizon: 1%.
    assert adapted_coefficient(0.2, 6.6, 6.0, sequences=1000, horizon_sequences=10_000) == pytest.approx(
        0.202
    )
    # However far off, the error counts 20%, in both directions.
    assert adapted_coefficient(0.2, 60.0, 6.0, sequences=10_000, horizon_sequences=10_000) == pytest.approx(
        0.24
    )
    assert adapted_coefficient(0.2, 0.0, 6.0, sequences=10_000, horizon_sequences=10_000) == pytest.approx(
        0.16
    )
    assert adapted_coefficient(0.2, 0.0, 6.0, sequences=10**9, horizon_sequences=10_000) == pytest.approx(
        0.16
    )


@given(kl=st.floats(0, 1e6), target=st.floats(1e-3, 1e3), sequences=st.integers(0, 10**7))
def test_the_coefficient_stays_above_zero_and_moves_towards_the_target(
    kl: float, target: float, sequences: int
) -> None:
    adapted = adapted_coefficient(1.0, kl, target, sequences=sequences, horizon_sequences=10_000)
    assert adapted > 0
    assert (adapted - 1.0) * (kl - target) >= 0


def test_each_controller_goes_by_the_unit_of_its_target() -> None:
    measured = {"nats_per_sequence": 12.0, "nats_per_token": 0.1, "sequences": 10_000}
    by_sequence = make_kl_controller(KLConfig(coefficient=0.1, target_nats_per_sequence=6.0))
    by_token = make_kl_controller(KLConfig(coefficient=0.1, target_nats_per_token=0.2))
    fixed = make_kl_controller(KLConfig(coefficient=0.1))
    for controller in (by_sequence, by_token, fixed):
        controller.update(**measured)  # type: ignore[arg-type]
    assert (by_sequence.coefficient, by_token.coefficient) == pytest.approx((0.12, 0.08))
    assert fixed.coefficient == 0.1
    assert isinstance(fixed, FixedKL)


def test_a_controller_continues_from_its_state() -> None:
    config = KLConfig(coefficient=0.1, target_nats_per_sequence=6.0)
    controller, resumed = AdaptiveKL(config), AdaptiveKL(config)
    controller.update(nats_per_sequence=9.0, nats_per_token=0.1, sequences=512)
    resumed.load_state_dict(controller.state_dict())
    assert resumed.coefficient == controller.coefficient != 0.1


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"coefficient": -1.0}, r"kl\.coefficient.*-1\.0"),
        ({"coefficient": math.nan}, r"kl\.coefficient.*nan"),
        ({"target_nats_per_token": 0.0}, "target_nats_per_token must be finite and above 0"),
        ({"target_nats_per_token": 1.0, "target_nats_per_sequence": 6.0}, "give one of them"),
        ({"coefficient": 0.0, "target_nats_per_sequence": 6.0}, "start above 0"),
        ({"horizon_sequences": 0.0}, "horizon_sequences must be above 0"),
    ],
)
def test_impossible_penalties_are_refused(settings: dict[str, float], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        KLConfig(**settings)


def test_a_divergence_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="KL of nan"):
        adapted_coefficient(0.1, math.nan, 6.0, sequences=1, horizon_sequences=10)
