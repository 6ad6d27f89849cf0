"""Advantages within groups: hand-computed numbers, invariances, groups that say nothing, enumeration."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prefrl.group_advantages import GroupAdvantages, grpo_advantages, rloo_advantages

seeds = st.integers(0, 2**16)
Judge = Callable[[Tensor, Tensor], GroupAdvantages]
JUDGES: dict[str, Judge] = {
    "sample": partial(grpo_advantages, deviation="sample"),
    "population": partial(grpo_advantages, deviation="population"),
    "batch": partial(grpo_advantages, deviation="batch"),
    "none": partial(grpo_advantages, deviation="none"),
    "leave-one-out": rloo_advantages,
}
each_judge = pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES.keys())


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def some_rewards(seed: int) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=12)), torch.from_numpy(rng.integers(0, 4, size=12))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Group 7 has rewards 1, 2, 6: mean 3, squares 4 + 1 + 9. Group 5 has 0, 4: mean 2, squares 4 + 4.
        ("sample", [-2 / 7**0.5, -2 / 8**0.5, -1 / 7**0.5, 2 / 8**0.5, 3 / 7**0.5]),
        ("population", [-2 / (14 / 3) ** 0.5, -1.0, -1 / (14 / 3) ** 0.5, 1.0, 3 / (14 / 3) ** 0.5]),
        ("none", [-2.0, -2.0, -1.0, 2.0, 3.0]),
        # All five: mean 2.6, squares 57 - 5 · 2.6².
        ("batch", [x / (23.2 / 4) ** 0.5 for x in (-2.0, -2.0, -1.0, 2.0, 3.0)]),
        ("leave-one-out", [1 - 4.0, 0 - 4.0, 2 - 3.5, 4.0 - 0, 6 - 1.5]),
    ],
)
def test_advantages_equal_numbers_computed_by_hand(name: str, expected: list[float]) -> None:
    judge = JUDGES[name] if name == "leave-one-out" else partial(JUDGES[name], epsilon=0.0)
    judged = judge(double([1.0, 0.0, 2.0, 4.0, 6.0]), torch.tensor([7, 5, 7, 5, 7]))
    torch.testing.assert_close(judged.advantages, double(expected))
    assert (judged.groups, judged.dead_groups) == (2, 0)


def test_epsilon_is_added_to_the_deviation() -> None:
    judged = grpo_advantages(double([0.0, 2.0]), torch.zeros(2), deviation="population", epsilon=3.0)
    torch.testing.assert_close(judged.advantages, double([-0.25, 0.25]))


@each_judge
def test_groups_without_spread_have_no_advantages_and_are_counted(judge: Judge) -> None:
    # 0.1 + 0.2 three times: their computed mean differs from each of them.
    same = 0.1 + 0.2
    judged = judge(double([same, same, same, 1.0, 2.0, 5.0]), torch.tensor([0, 0, 0, 1, 1, 2]))
    assert (judged.groups, judged.dead_groups) == (3, 2)
    assert judged.advantages[[0, 1, 2, 5]].tolist() == [0.0] * 4
    assert (judged.advantages[3:5] != 0).all()
    assert judged.alive.tolist() == [False, False, False, True, True, False]


@each_judge
@given(seed=seeds)
def test_the_order_of_responses_and_the_names_of_groups_do_not_matter(judge: Judge, seed: int) -> None:
    rewards, groups = some_rewards(seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(12))
    torch.testing.assert_close(
        judge(rewards[order], -3 * groups[order]).advantages, judge(rewards, groups).advantages[order]
    )


@each_judge
@given(seed=seeds, shift=st.floats(-10, 10))
def test_a_constant_added_to_all_rewards_changes_nothing(judge: Judge, seed: int, shift: float) -> None:
    rewards, groups = some_rewards(seed)
    torch.testing.assert_close(judge(rewards + shift, groups).advantages, judge(rewards, groups).advantages)


@pytest.mark.parametrize("name", ["sample", "population", "none", "leave-one-out"])
@given(seed=seeds)
def test_a_group_judged_alone_is_judged_as_among_others(name: str, seed: int) -> None:
    rewards, groups = some_rewards(seed)
    whole = JUDGES[name](rewards, groups).advantages
    for group in groups.unique():
        inside = groups == group
        torch.testing.assert_close(JUDGES[name](rewards[inside], groups[inside]).advantages, whole[inside])


@each_judge
@given(seed=seeds)
def test_the_advantages_of_a_group_add_up_to_zero(judge: Judge, seed: int) -> None:
    rewards, groups = some_rewards(seed)
    sums = torch.zeros(4, dtype=torch.float64).index_add_(0, groups, judge(rewards, groups).advantages)
    torch.testing.assert_close(sums, torch.zeros_like(sums))


@given(seed=seeds, scale=st.floats(0.5, 100))
def test_the_scale_of_rewards_does_not_matter_where_the_group_divides_by_its_spread(
    seed: int, scale: float
) -> None:
    rewards, groups = some_rewards(seed)
    judge = partial(grpo_advantages, epsilon=0.0)
    torch.testing.assert_close(judge(scale * rewards, groups).advantages, judge(rewards, groups).advantages)


def test_the_leave_one_out_gradient_is_unbiased_by_enumeration() -> None:
    # Two samples from three answers: all nine outcomes, each as likely as it is.
    logits, reward = double([0.3, -0.5, 1.0]).requires_grad_(), double([1.0, -2.0, 4.0])
    log_probs = torch.log_softmax(logits, 0)
    estimate = torch.zeros(())
    for outcome in product(range(3), repeat=2):
        drawn = torch.tensor(outcome)
        judged = rloo_advantages(reward[drawn], torch.zeros(2))
        estimate = (
            estimate + log_probs[drawn].sum().exp().detach() * (judged.advantages * log_probs[drawn]).mean()
        )
    (gradient,) = torch.autograd.grad(estimate, logits, retain_graph=True)
    (exact,) = torch.autograd.grad((log_probs.exp() * reward).sum(), logits)
    torch.testing.assert_close(gradient, exact)


def test_a_baseline_of_the_archetype_lets_groups_without_spread_teach() -> None:
    # An easy prompt, always right, and a hard one, always wrong, of one kind.
    rewards, prompts = double([1.0, 1.0, 0.0, 0.0]), torch.tensor([0, 0, 1, 1])
    assert grpo_advantages(rewards, prompts, deviation="none").dead_groups == 2
    judged = grpo_advantages(rewards, torch.zeros(4), deviation="none")
    torch.testing.assert_close(judged.advantages, double([0.5, 0.5, -0.5, -0.5]))


@each_judge
@pytest.mark.parametrize(
    ("rewards", "groups", "complaint"),
    [
        ([1.0, math.nan], [0, 0], "not finite.*nan"),
        ([1.0, math.inf], [0, 0], "not finite.*inf"),
        ([1.0, 2.0], [0], r"must both be \[n\]"),
        ([[1.0], [2.0]], [[0], [0]], r"must both be \[n\]"),
    ],
)
def test_rewards_that_cannot_be_judged_are_refused(
    judge: Judge, rewards: object, groups: object, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        judge(double(rewards), torch.tensor(groups))
