"""Fitting the ensemble: bootstrap, out-of-bag validation, weight decay, early stopping, resume."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prefrl.bags import bootstrap_counts
from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError
from prefrl.feedback import Kind
from prefrl.feedback_sets import FeedbackSet
from prefrl.fit_config import FitConfig
from prefrl.fitting import RewardFitter
from prefrl.likelihoods import agreement, like_loss, pair_log_likelihood_loss
from prefrl.member_layers import MemberLinear, SharedLinear, squared_norms

MEMBERS, LENGTH, FEATURES = 3, 8, 4
seeds = st.integers(0, 2**16)
ONE_STEP = FitConfig(max_epochs=1, batch_size=10_000, max_grad_norm=1e9)
"""One full-batch gradient step, unclipped."""


class TinyReward(nn.Module):
    """``[..., FEATURES]`` to ``[MEMBERS, ...]``; starts near zero, as a reward without opinions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = SharedLinear(MEMBERS, FEATURES, 16)
        self.head = MemberLinear(MEMBERS, 16, 1)
        nn.init.uniform_(self.head.weight, -0.01, 0.01)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.first(inputs.reshape(-1, FEATURES)))
        return self.head(hidden).reshape(MEMBERS, *inputs.shape[:-1])


@dataclass
class Table:
    """Items are rows of ``[items, LENGTH, FEATURES]``."""

    table: Tensor

    def inputs(self, rows: Tensor) -> Tensor:
        return self.table[rows]

    def mask(self, rows: Tensor) -> None:
        """Every step counts."""


@dataclass
class Problem:
    """Pairs over a table with a planted linear reward."""

    items: Table
    pairs: Tensor
    preference: Tensor

    def feedback(self, first: int = 0, last: int | None = None) -> FeedbackSet:
        part = slice(first, last)
        return FeedbackSet(self.pairs[part], self.preference[part], pair_log_likelihood_loss)

    def held_out(self, ensemble: RewardEnsemble, first: int) -> tuple[float, float]:
        """Mean loss and agreement over the pairs from ``first`` on."""
        pairs, preference = self.pairs[first:], self.preference[first:]
        returns = ensemble.predict_returns(self.items, pairs.flatten()).view(MEMBERS, -1, 2)
        loss = pair_log_likelihood_loss(returns, preference).mean()
        return loss.item(), agreement(returns.mean(0), preference).item()


def a_problem(pairs: int = 40, *, seed: int = 0, random_labels: bool = False) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    # What tells segments apart lies between them, not between their steps.
    table = torch.randn(2 * pairs, LENGTH, FEATURES, generator=generator)
    table = table + torch.randn(2 * pairs, 1, FEATURES, generator=generator)
    returns = (table @ torch.tensor([1.0, -2.0, 0.5, 0.0])).sum(-1).view(-1, 2)
    better = (returns[:, 0] > returns[:, 1]).float()
    if random_labels:
        better = (torch.rand(pairs, generator=generator) < 0.5).float()
    return Problem(Table(table), torch.arange(2 * pairs).view(-1, 2), better)


def a_fitter(config: FitConfig = FitConfig(), *, seed: int = 0) -> RewardFitter:  # noqa: B008 - frozen
    torch.manual_seed(seed)
    return RewardFitter(RewardEnsemble(TinyReward(), members=MEMBERS), config, seed)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def member_parameters(ensemble: RewardEnsemble) -> Tensor:
    """``[MEMBERS, numbers]``."""
    flat = [p.detach().reshape(MEMBERS, -1) for p in ensemble.parameters()]
    return torch.cat(flat, 1).clone()


def full_batch_loss(problem: Problem, feedback: FeedbackSet) -> Tensor:
    """Of a fresh ensemble: ``[MEMBERS, pieces]``."""
    ensemble = a_fitter().ensemble
    returns = ensemble.returns(problem.items, feedback.items.flatten()).view(MEMBERS, -1, 2)
    return feedback.loss(returns, feedback.targets)


# The bootstrap.


@given(seed=seeds, pieces=st.integers(0, 50), more=st.integers(0, 50))
def test_what_is_in_a_bag_stays_there_when_feedback_is_added(seed: int, pieces: int, more: int) -> None:
    few, many = (bootstrap_counts(n, MEMBERS, seed=(seed, 0)) for n in (pieces, pieces + more))
    assert few.shape == (pieces, MEMBERS)
    assert torch.equal(many[:pieces], few)


def test_bags_have_the_moments_of_poisson_and_leave_one_in_e_out() -> None:
    counts = bootstrap_counts(20_000, MEMBERS, seed=(0, 0))
    assert torch.equal(counts, counts.round())
    for member in counts.T:
        assert member.mean().item() == pytest.approx(1.0, abs=0.03)
        assert member.var().item() == pytest.approx(1.0, abs=0.05)
        assert (member == 0).double().mean().item() == pytest.approx(1 / math.e, abs=0.01)


def test_bags_differ_between_members_seeds_and_kinds_of_feedback() -> None:
    counts = bootstrap_counts(100, MEMBERS, seed=(0, 0))
    assert not torch.equal(counts[:, 0], counts[:, 1])
    assert not torch.equal(counts, bootstrap_counts(100, MEMBERS, seed=(1, 0)))
    assert not torch.equal(counts, bootstrap_counts(100, MEMBERS, seed=(0, 1)))
    assert torch.equal(counts, bootstrap_counts(100, MEMBERS, seed=(0, 0)))


def test_a_label_changes_nothing_for_members_that_have_it_out_of_their_bag() -> None:
    problem, counts = a_problem(), bootstrap_counts(40, MEMBERS, seed=(0, 0))
    config = replace(ONE_STEP, weight_decay=0.1)
    fits = {}
    for flipped in (None, *range(6)):
        changed = copy.deepcopy(problem)
        if flipped is not None:
            changed.preference[flipped] = 1 - changed.preference[flipped]
        fitter = a_fitter(config)
        fitter.fit(changed.items, [changed.feedback()], generator())
        fits[flipped] = member_parameters(fitter.ensemble)
    for flipped in range(6):
        for member in range(MEMBERS):
            same = torch.allclose(fits[flipped][member], fits[None][member], rtol=0, atol=0)
            assert same == (counts[flipped, member] == 0)
    assert (counts[:6] == 0).any()


def test_a_bag_weighs_the_training_loss_and_what_it_left_out_is_the_validation_loss() -> None:
    problem, counts = a_problem(), bootstrap_counts(40, MEMBERS, seed=(0, 0)).T
    losses = full_batch_loss(problem, problem.feedback()).detach()
    report = a_fitter(ONE_STEP).fit(problem.items, [problem.feedback()], generator())
    train = (losses * counts).sum(1) / counts.sum(1)
    validation = (losses * (counts == 0)).sum(1) / (counts == 0).sum(1)
    assert report.train_loss == pytest.approx(train.mean().item())
    assert report.validation_loss == pytest.approx(validation.mean().item())
    assert (report.epochs, report.gradient_steps) == (1, 1)


def test_the_gradient_step_is_that_of_the_weighed_mean_and_half_the_decayed_norm() -> None:
    problem = a_problem()
    fitter = a_fitter(replace(ONE_STEP, weight_decay=0.3))
    fitter.optimizer = torch.optim.SGD(fitter.ensemble.parameters(), lr=0.5)
    twin = a_fitter().ensemble
    counts = bootstrap_counts(40, MEMBERS, seed=(0, 0)).T
    feedback = problem.feedback()
    returns = twin.returns(problem.items, feedback.items.flatten()).view(MEMBERS, -1, 2)
    losses = (feedback.loss(returns, feedback.targets) * counts).sum(1) / counts.sum(1)
    (losses.sum() + 0.15 * squared_norms(twin.network, MEMBERS).sum()).backward()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter -= 0.5 * parameter.grad
    fitter.fit(problem.items, [feedback], generator())
    torch.testing.assert_close(member_parameters(fitter.ensemble), member_parameters(twin))


# Invariances.


def fitted(problem: Problem, feedback: FeedbackSet, config: FitConfig = ONE_STEP) -> Tensor:
    fitter = a_fitter(config)
    # Plain descent: Adam would blow the last digits of a tiny gradient up to a whole step.
    fitter.optimizer = torch.optim.SGD(fitter.ensemble.parameters(), lr=1.0)
    fitter.fit(problem.items, [feedback], generator())
    return member_parameters(fitter.ensemble)


@given(seed=seeds)
@settings(max_examples=20)
def test_swapping_sides_and_answers_leaves_the_fit_unchanged(seed: int) -> None:
    problem = a_problem(seed=seed)
    problem.preference[::5] = 0.5
    plain, which = problem.feedback(), torch.rand(40, generator=generator(seed)) < 0.5
    swapped = replace(
        plain,
        items=torch.where(which[:, None], plain.items.flip(1), plain.items),
        targets=torch.where(which, 1 - plain.targets, plain.targets),
    )
    torch.testing.assert_close(fitted(problem, swapped), fitted(problem, plain))


@given(shift=st.floats(-100, 100))
def test_shifting_the_reward_of_every_step_leaves_the_loss_unchanged_for_equal_lengths(shift: float) -> None:
    problem = a_problem()
    feedback, ensemble = problem.feedback(), a_fitter().ensemble.double()
    problem.items.table = problem.items.table.double()

    def loss() -> Tensor:
        returns = ensemble.returns(problem.items, feedback.items.flatten()).view(MEMBERS, -1, 2)
        return feedback.loss(returns, feedback.targets)

    expected = loss()
    with torch.no_grad():
        ensemble.network.head.bias += shift
    torch.testing.assert_close(loss(), expected)


@given(seed=seeds)
@settings(max_examples=20)
def test_permuting_the_items_leaves_the_fit_unchanged(seed: int) -> None:
    problem = a_problem(seed=seed)
    order = torch.randperm(80, generator=generator(seed))
    pairs = torch.argsort(order)[problem.pairs]
    permuted = replace(problem, items=Table(problem.items.table[order]), pairs=pairs)
    torch.testing.assert_close(fitted(permuted, permuted.feedback()), fitted(problem, problem.feedback()))


@given(order=seeds)
@settings(max_examples=20)
def test_the_order_within_a_full_batch_does_not_matter(order: int) -> None:
    problem, ensembles = a_problem(), []
    for seed in (0, order):
        fitter = a_fitter(ONE_STEP)
        fitter.optimizer = torch.optim.SGD(fitter.ensemble.parameters(), lr=1.0)
        fitter.fit(problem.items, [problem.feedback()], generator(seed))
        ensembles.append(member_parameters(fitter.ensemble))
    torch.testing.assert_close(*ensembles)


def test_both_sides_of_all_pairs_go_through_the_network_in_one_pass() -> None:
    problem, seen = a_problem(), []
    fitter = a_fitter(replace(ONE_STEP, batch_size=16))
    fitter.ensemble.network.register_forward_pre_hook(
        lambda module, inputs: seen.append((len(inputs[0]), module.training))
    )
    fitter.fit(problem.items, [problem.feedback()], generator())
    training = [rows for rows, mode in seen if mode]
    # Batch normalisation would otherwise give each side statistics of its own.
    assert training == [32, 32, 16]


# Weight decay.


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(3.0, 1.01**7), (1.51, 1.01**7), (1.49, 1.0), (1.11, 1.0), (1.09, 1.01**-7)],
)
def test_weight_decay_grows_when_overfitting_and_shrinks_when_not(ratio: float, expected: float) -> None:
    fitter = a_fitter(FitConfig(weight_decay=0.1, weight_decay_factor=1.01))
    train = torch.tensor([0.2, 0.4, 0.6], dtype=torch.float64)
    fitter._steer_weight_decay(train, ratio * train, 7)
    torch.testing.assert_close(fitter.weight_decay, torch.full((MEMBERS,), 0.1 * expected))


def test_weight_decay_moves_for_each_member_on_its_own_and_stays_where_nothing_is_known() -> None:
    fitter = a_fitter(FitConfig(weight_decay=0.1, weight_decay_factor=1.01))
    nan = math.nan
    fitter._steer_weight_decay(torch.ones(3).double(), torch.tensor([2.0, 1.0, nan]).double(), 1)
    torch.testing.assert_close(fitter.weight_decay, torch.tensor([0.101, 0.1 / 1.01, 0.1]))


def test_fitting_noise_raises_the_weight_decay_and_few_parameters_lower_it() -> None:
    steered = FitConfig(weight_decay_factor=1.01, patience_epochs=100, max_epochs=40, batch_size=16)
    noise = a_problem(random_labels=True)
    fitter = a_fitter(replace(steered, learning_rate=3e-2))
    assert fitter.fit(noise.items, [noise.feedback()], generator()).weight_decay > 2 * steered.weight_decay
    problem = a_problem(400)
    fitter = a_fitter(replace(steered, learning_rate=1e-5))
    report = fitter.fit(problem.items, [problem.feedback()], generator())
    assert report.weight_decay < steered.weight_decay / 2


def test_more_weight_decay_makes_smaller_parameters() -> None:
    problem, norms = a_problem(), []
    for weight_decay in (1e-4, 1.0):
        fitter = a_fitter(FitConfig(weight_decay=weight_decay, max_epochs=20, learning_rate=1e-2))
        fitter.fit(problem.items, [problem.feedback()], generator())
        norms.append(member_parameters(fitter.ensemble).norm().item())
    assert norms[1] < 0.7 * norms[0]


# When to stop.


def scripted(fitter: RewardFitter, validation: list[float]) -> list[Tensor]:
    """Makes epoch i add 1 to every parameter and report the i-th validation loss; returns what began each."""
    started: list[Tensor] = []

    def epoch(*_: Any) -> tuple[Tensor, Tensor, int]:
        started.append(member_parameters(fitter.ensemble))
        with torch.no_grad():
            for parameter in fitter.ensemble.parameters():
                parameter += 1.0
        loss = torch.full((MEMBERS,), validation[len(started) - 1], dtype=torch.float64)
        return torch.ones(MEMBERS, dtype=torch.float64), loss, 2

    fitter._epoch = epoch  # type: ignore[method-assign]
    return started


@pytest.mark.parametrize(
    ("losses", "epochs", "kept", "validation"),
    [
        ([3.0, 2.0, 2.5, 2.5, 2.5, 0.0], 5, 1, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 4, 0, 1.0),
        ([5.0, 4.0, 3.0, 3.5, 2.0, 1.0], 6, 6, 1.0),
        ([5.0, 4.0, 3.0, 2.0, 2.5, 3.0], 6, 6, 3.0),
        ([math.nan] * 6, 3, 3, math.nan),
    ],
)
def test_a_fit_goes_back_to_where_its_best_epoch_began(
    losses: list[float], epochs: int, kept: int, validation: float
) -> None:
    fitter, problem = a_fitter(FitConfig(max_epochs=6, patience_epochs=3)), a_problem()
    started = scripted(fitter, losses)
    before = member_parameters(fitter.ensemble)
    report = fitter.fit(problem.items, [problem.feedback()], generator())
    assert (report.epochs, report.gradient_steps, len(started)) == (epochs, 2 * epochs, epochs)
    torch.testing.assert_close(member_parameters(fitter.ensemble), before + kept)
    assert report.validation_loss == (None if math.isnan(validation) else pytest.approx(validation))


@pytest.mark.parametrize(("allowed", "epochs"), [(1, 1), (3, 1), (4, 2), (7, 3)])
def test_no_more_gradient_steps_are_taken_than_allowed(allowed: int, epochs: int) -> None:
    problem = a_problem()
    config = FitConfig(batch_size=16, patience_epochs=50, first_gradient_steps=9, max_gradient_steps=allowed)
    fitter = a_fitter(config)
    first = fitter.fit(problem.items, [problem.feedback()], generator())
    assert (first.gradient_steps, first.epochs) == (9, 3)
    report = fitter.fit(problem.items, [problem.feedback()], generator())
    assert (report.gradient_steps, report.epochs) == (allowed, epochs)
    assert set(fitter.optimizer.state_dict()["steps"]) == {9 + allowed}


def test_progress_is_told_after_each_epoch() -> None:
    problem, told = a_problem(), []
    fitter = a_fitter(FitConfig(batch_size=16, max_epochs=3))
    report = fitter.fit(
        problem.items, [problem.feedback()], generator(), on_epoch=lambda *numbers: told.append(numbers)
    )
    assert [steps for steps, _, _ in told] == [3, 6, 9]
    assert told[-1][1] == report.train_loss
    assert min(validation for _, _, validation in told) == report.validation_loss


def test_random_labels_are_not_fitted_however_often() -> None:
    problem = a_problem(600, random_labels=True)
    fitter = a_fitter(FitConfig(learning_rate=3e-3))
    for answered in range(50, 250, 20):
        report = fitter.fit(problem.items, [problem.feedback(0, answered)], generator(answered))
    loss, agreed = problem.held_out(fitter.ensemble, 250)
    assert loss < math.log(2) + 0.05
    assert agreed == pytest.approx(0.5, abs=0.1)
    assert report.validation_loss < math.log(2) + 0.05


def test_a_planted_reward_is_learned() -> None:
    problem = a_problem(500)
    fitter = a_fitter(FitConfig(learning_rate=3e-3))
    for answered in (50, 100, 150):
        report = fitter.fit(problem.items, [problem.feedback(0, answered)], generator(answered))
    loss, agreed = problem.held_out(fitter.ensemble, 150)
    assert agreed > 0.9
    assert report.validation_loss == pytest.approx(loss, abs=0.1)
    assert fitter.ensemble.version == 3


# What a fit leaves behind.


def test_a_fit_ends_in_evaluation_mode_with_the_annotated_items_normalised() -> None:
    problem = a_problem()
    fitter = a_fitter()
    fitter.fit(problem.items, [problem.feedback(0, 10)], generator())
    assert not fitter.ensemble.training
    annotated = problem.items.inputs(torch.arange(20))
    members = fitter.ensemble(annotated).detach()
    assert fitter.ensemble.predict(annotated).mean().item() == pytest.approx(0.0, abs=1e-5)
    torch.testing.assert_close(members.flatten(1).mean(1), fitter.ensemble.shift)
    torch.testing.assert_close(1 / members.flatten(1).std(1, correction=0), fitter.ensemble.scale)


def test_a_fit_tells_its_agreement_with_the_comparisons_out_of_the_bags() -> None:
    problem, fitter = a_problem(60), a_fitter()
    report = fitter.fit(problem.items, [problem.feedback()], generator())
    out = bootstrap_counts(60, MEMBERS, seed=(0, 0)) == 0
    shares = []
    for member in range(MEMBERS):
        pairs = problem.pairs[out[:, member]]
        returns = fitter.ensemble.predict_returns(problem.items, pairs.flatten())[member].view(-1, 2)
        shares.append(agreement(returns, problem.preference[out[:, member]]).item())
    assert report.held_out_agreement == pytest.approx(sum(shares) / MEMBERS)
    assert 0.5 < report.held_out_agreement < 1.0


def test_where_nothing_is_compared_there_is_no_agreement() -> None:
    problem, fitter = a_problem(20), a_fitter()
    all_liked = FeedbackSet(torch.arange(40).view(-1, 1), torch.ones(40), like_loss, kind=Kind.LIKE)
    assert fitter.fit(problem.items, [all_liked], generator()).held_out_agreement is None
    ties = FeedbackSet(problem.pairs, torch.full((20,), 0.5), pair_log_likelihood_loss)
    assert a_fitter().fit(problem.items, [ties], generator()).held_out_agreement is None


def test_input_moments_are_those_of_the_annotated_items_alone() -> None:
    problem, given_inputs = a_problem(), []
    fitter = a_fitter(ONE_STEP)
    fitter.ensemble.network.set_input_moments = given_inputs.append  # type: ignore[assignment]
    repeated = FeedbackSet(torch.tensor([[3, 1], [1, 7]]), torch.ones(2), pair_log_likelihood_loss)
    fitter.fit(problem.items, [repeated], generator())
    torch.testing.assert_close(given_inputs, [problem.items.table[[1, 3, 7]]])


def test_kinds_of_feedback_are_fitted_together() -> None:
    problem = a_problem(80)
    returns = problem.items.table @ torch.tensor([1.0, -2.0, 0.5, 0.0])
    good = (returns.sum(-1) > 0).float()[80:]
    liked = FeedbackSet(torch.arange(80, 160).view(-1, 1), good, like_loss, kind=Kind.LIKE)
    empty = FeedbackSet(torch.zeros(0, 2, dtype=torch.int64), torch.zeros(0), pair_log_likelihood_loss)
    fitter = a_fitter(FitConfig(learning_rate=1e-2, batch_size=16, max_epochs=20))
    fitter.fit(problem.items, [empty, problem.feedback(0, 40), liked], generator())
    predicted = fitter.ensemble.predict_returns(problem.items, torch.arange(160)).mean(0)
    assert ((predicted > 0) == (returns.sum(-1) > 0)).float().mean() > 0.8
    only = a_fitter(FitConfig(learning_rate=1e-2, batch_size=16, max_epochs=20))
    report = only.fit(problem.items, [liked], generator())
    assert report.gradient_steps == report.epochs * 5


@pytest.mark.parametrize("answers", [[], [0, 0]])
def test_nothing_to_fit_is_the_users_error(answers: list[int]) -> None:
    problem = a_problem()
    feedback = [problem.feedback(0, n) for n in answers]
    with pytest.raises(UsageError, match="there is no feedback to fit: collect answers first"):
        a_fitter().fit(problem.items, feedback, generator())


def test_what_is_not_finite_is_an_error() -> None:
    problem = a_problem()
    problem.items.table[5, 2, 1] = math.nan
    fitter = a_fitter()
    before = member_parameters(fitter.ensemble)
    with pytest.raises(FloatingPointError, match=r"not finite: losses \[nan"):
        fitter.fit(problem.items, [problem.feedback()], generator())
    assert torch.equal(member_parameters(fitter.ensemble), before)
    assert fitter.ensemble.version == 0


def test_a_fit_is_a_function_of_its_generator() -> None:
    problem = a_problem()
    results = []
    for seed in (1, 1, 2):
        fitter = a_fitter(FitConfig(batch_size=16, max_epochs=3))
        fitter.fit(problem.items, [problem.feedback()], generator(seed))
        results.append(member_parameters(fitter.ensemble))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_resumed_fitter_goes_on_exactly_as_the_one_saved() -> None:
    problem, config = a_problem(80), FitConfig(batch_size=16, max_epochs=8, weight_decay_factor=1.02)
    straight, draws = a_fitter(config), generator(1)
    straight.fit(problem.items, [problem.feedback(0, 40)], draws)
    saved, state = straight.state_dict(), draws.get_state()
    first = straight.fit(problem.items, [problem.feedback()], draws)

    resumed, draws = a_fitter(config, seed=7), generator(2)
    resumed.seed = 0
    resumed.load_state_dict(saved)
    draws.set_state(state)
    assert resumed.ensemble.version == 1
    second = resumed.fit(problem.items, [problem.feedback()], draws)
    assert second == first
    assert resumed.ensemble.version == straight.ensemble.version == 2
    assert torch.equal(resumed.weight_decay, straight.weight_decay)
    for mine, other in zip(
        resumed.ensemble.state_dict().values(), straight.ensemble.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, other)


def test_a_saved_state_does_not_change_when_fitting_goes_on() -> None:
    problem, config = a_problem(), FitConfig(batch_size=16, max_epochs=3, weight_decay_factor=1.5)
    fitter = a_fitter(config)
    fitter.fit(problem.items, [problem.feedback()], generator())
    saved = fitter.state_dict()
    kept = copy.deepcopy(saved)
    other = a_fitter(config)
    other.load_state_dict(saved)
    fitter.fit(problem.items, [problem.feedback()], generator())
    assert torch.equal(other.weight_decay, kept["weight_decay"])
    other.fit(problem.items, [problem.feedback()], generator())
    assert torch.equal(saved["weight_decay"], kept["weight_decay"])
    for name, tensor in kept["ensemble"].items():
        assert torch.equal(saved["ensemble"][name], tensor)
    for found, wanted in zip(saved["optimizer"]["means"], kept["optimizer"]["means"], strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("error_rate", 1.0),
        ("error_rate", -0.1),
        ("learning_rate", 0.0),
        ("batch_size", 0),
        ("max_epochs", 0),
        ("max_gradient_steps", 0),
        ("first_gradient_steps", 0),
        ("patience_epochs", 0),
        ("max_grad_norm", math.nan),
        ("weight_decay", -1e-4),
        ("weight_decay_factor", 0.999),
        ("overfit_ratio", (1.5, 1.1)),
        ("overfit_ratio", (0.0, 1.1)),
    ],
)
def test_impossible_settings_are_refused_by_name_and_value(field: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        FitConfig(**{field: value})
    assert f"reward_model.fit.{field} must " in str(caught.value)
    assert str(caught.value).endswith(f"not {value}")
