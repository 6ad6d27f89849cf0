"""The PPO update: exact gradients by enumeration, invariances, determinism, failures."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prefrl.errors import UsageError
from prefrl.kl import exact_kl
from prefrl.policy_gradient import generalised_advantages
from prefrl.policy_steps import Evaluation
from prefrl.ppo import PolicyBatch, shuffled_minibatches, update_policy
from prefrl.ppo_config import PPOConfig, Reduction

seeds = st.integers(0, 2**16)

PLAIN = PPOConfig(
    epochs=1,
    minibatch_size=10_000,
    max_grad_norm=1e9,
    normalise_advantages=False,
    value_coefficient=0.0,
    reduction="sequence_mean_of_sums",
)
"""One step of plain gradient descent."""


class TreePolicy(nn.Module):
    """Three symbols at every node of a tree; each node has logits and a value of its own."""

    def __init__(self, depth: int, generator: torch.Generator) -> None:
        super().__init__()
        nodes = sum(3**level for level in range(depth))
        # Probabilities 1/2, 1/3 and 1/6 in another order at each node: exact as counts of a small batch.
        orders = torch.stack([torch.randperm(3, generator=generator) for _ in range(nodes)])
        self.logits = nn.Parameter(torch.log(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))[orders])
        self.values = nn.Parameter(torch.randn(nodes, generator=generator, dtype=torch.float64))

    def evaluate(self, symbols: Tensor) -> Evaluation:
        """``symbols [items, depth]``."""
        node, nodes = torch.zeros(len(symbols), dtype=torch.int64), []
        for t in range(symbols.shape[1]):
            nodes.append(node)
            node = 3 * node + 1 + symbols[:, t]
        where = torch.stack(nodes, 1)
        log_probs = torch.log_softmax(self.logits[where], -1)
        chosen = log_probs.gather(-1, symbols.unsqueeze(-1)).squeeze(-1)
        return Evaluation(chosen, -(log_probs.exp() * log_probs).sum(-1), self.values[where])


def sgd(policy: nn.Module, *, learning_rate: float = 1.0) -> torch.optim.Optimizer:
    return torch.optim.SGD(policy.parameters(), lr=learning_rate)


def a_batch(policy: TreePolicy, symbols: Tensor, *, seed: int = 0, mask: Tensor | None = None) -> PolicyBatch:
    """Symbols with random advantages and returns."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(2, *symbols.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        old = policy.evaluate(symbols)
    return PolicyBatch(symbols, old.log_prob, old.value, numbers[0], numbers[1], mask)


def a_tree(*, depth: int = 3, items: int = 12, seed: int = 0) -> tuple[TreePolicy, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return TreePolicy(depth, generator), torch.randint(0, 3, (items, depth), generator=generator)


def parameters_after(policy: TreePolicy, batch: PolicyBatch, config: PPOConfig, *, seed: int = 0) -> Tensor:
    """All parameters after an update from the policy's present ones, which are restored."""
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    update_policy(policy.evaluate, sgd(policy), batch, config, generator=torch.Generator().manual_seed(seed))
    after = torch.cat([p.detach().flatten().clone() for p in policy.parameters()])
    policy.load_state_dict(before)
    return after


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
def test_the_first_step_is_the_exact_policy_gradient(depth: int, gae_lambda: float) -> None:
    """Every trajectory in the batch as often as the policy takes it: the sample mean is the expectation.

    With true values as the baseline the advantages' expectation is exact for any lambda.
    """
    generator = torch.Generator().manual_seed(depth)
    policy = TreePolicy(depth, generator)
    paths = torch.tensor(list(itertools.product(range(3), repeat=depth)))
    rewards = torch.randn(3**depth, depth, generator=generator, dtype=torch.float64)
    # A reward belongs to the step taken, so it may depend on the path up to it alone.
    for t in range(depth):
        rewards[:, t] = rewards[:, t].view(3 ** (t + 1), -1)[:, :1].expand(-1, 3 ** (depth - t - 1)).flatten()

    log_prob = policy.evaluate(paths).log_prob.sum(1)
    expected_return = (log_prob.exp() * rewards.sum(1)).sum()
    (exact,) = torch.autograd.grad(expected_return, policy.logits)

    values = exact_values(policy, paths, rewards)
    counts = (log_prob.detach().exp() * 6**depth).round().long()
    assert counts.sum() == 6**depth
    path = torch.arange(3**depth).repeat_interleave(counts)
    next_values = torch.cat([values[:, 1:], torch.zeros(len(paths), 1, dtype=torch.float64)], 1)
    ends = torch.zeros(depth, len(paths))
    ends[-1] = 1
    advantages, returns = generalised_advantages(
        rewards.T, values.T, next_values.T, ends, discount=1.0, gae_lambda=gae_lambda
    )
    with torch.no_grad():
        old = policy.evaluate(paths[path])
    batch = PolicyBatch(paths[path], old.log_prob, old.value, advantages.T[path], returns.T[path])
    before = policy.logits.detach().clone()
    update_policy(policy.evaluate, sgd(policy), batch, PLAIN)
    torch.testing.assert_close(policy.logits.detach() - before, exact)


def exact_values(policy: TreePolicy, paths: Tensor, rewards: Tensor) -> Tensor:
    """``[paths, depth]``: the expected sum of rewards from each node on, by enumeration."""
    log_probs = policy.evaluate(paths).log_prob.detach()
    depth = paths.shape[1]
    values = torch.zeros(len(paths), depth, dtype=torch.float64)
    for t in range(depth):
        weighted = log_probs[:, t:].sum(1).exp() * rewards[:, t:].sum(1)
        values[:, t] = weighted.view(3**t, -1).sum(1, keepdim=True).expand(-1, 3 ** (depth - t)).flatten()
    return values


def test_the_whole_loss_equals_its_parts_put_together_by_hand() -> None:
    policy, symbols = a_tree()
    batch = a_batch(policy, symbols)
    config = replace(PLAIN, value_coefficient=0.7, entropy_coefficient=0.3, reduction="mean")
    log_prob, entropy, value = policy.evaluate(symbols)
    ratio = torch.exp(log_prob - batch.log_prob)
    loss = -(ratio * batch.advantage).mean() + 0.7 * 0.5 * (value - batch.return_).square().mean()
    loss = loss - 0.3 * entropy.mean()
    gradients = torch.autograd.grad(loss, list(policy.parameters()))
    expected = torch.cat([(p - g).flatten() for p, g in zip(policy.parameters(), gradients, strict=True)])
    torch.testing.assert_close(parameters_after(policy, batch, config), expected.detach())


def test_the_penalty_in_the_loss_descends_the_exact_divergence_by_enumeration() -> None:
    """One step in a tree of two levels whose paths are all in the batch as often as the policy takes them."""
    policy, _ = a_tree(depth=2)
    paths = torch.tensor(list(itertools.product(range(3), repeat=2)))
    log_prob = policy.evaluate(paths).log_prob
    path = torch.arange(9).repeat_interleave((log_prob.detach().sum(1).exp() * 36).round().long())
    reference, _ = a_tree(depth=2, seed=7)
    # The divergence of whole paths, by what is left to come below each node.
    log_p, log_q = (torch.log_softmax(tree.logits, -1) for tree in (policy, reference))
    below = exact_kl(log_p[1:], log_q[1:])
    divergence = exact_kl(log_p[0], log_q[0]) + (log_p[0].exp() * below).sum()
    (exact,) = torch.autograd.grad(divergence, policy.logits)

    with torch.no_grad():
        old, other = policy.evaluate(paths[path]), reference.evaluate(paths[path]).log_prob
    zeros = torch.zeros_like(old.log_prob)
    # k2 sees each token's own divergence; what the token does to later ones is a return, as in a penalty.
    later = torch.stack([below.detach()[paths[path][:, 0]], zeros[:, 1]], 1)
    batch = PolicyBatch(paths[path], old.log_prob, old.value, -0.3 * later, zeros, reference_log_prob=other)
    config = replace(PLAIN, kl_coefficient=0.3, kl_estimator="k2")
    before = policy.logits.detach().clone()
    update_policy(policy.evaluate, sgd(policy), batch, config)
    torch.testing.assert_close(before - policy.logits.detach(), 0.3 * exact)


@pytest.mark.parametrize("reduction", ["mean", "sequence_mean_of_sums"])
def test_a_penalty_without_a_reference_is_refused(reduction: Any) -> None:
    policy, symbols = a_tree()
    batch, config = a_batch(policy, symbols), replace(PLAIN, kl_coefficient=1.0, reduction=reduction)
    with pytest.raises(UsageError, match=r"kl_coefficient is 1\.0, but there is no reference"):
        update_policy(policy.evaluate, sgd(policy), batch, config)


@pytest.mark.parametrize("size", [1, 5, 12, 99])
def test_micro_batches_change_nothing_but_memory(size: int) -> None:
    policy, symbols = a_tree()
    mask = torch.rand(12, 3, generator=torch.Generator().manual_seed(1)) < 0.7
    batch = replace(a_batch(policy, symbols, mask=mask), reference_log_prob=torch.zeros(12, 3))
    config = PPOConfig(
        learning_rate=1.0, epochs=2, minibatch_size=7, value_coefficient=0.5, kl_coefficient=0.1
    )
    torch.testing.assert_close(
        parameters_after(policy, batch, replace(config, micro_batch_size=size)),
        parameters_after(policy, batch, config),
    )


def test_micro_batches_are_no_larger_than_wanted_also_of_inputs_by_name() -> None:
    policy, symbols = a_tree()
    seen: list[int] = []

    def evaluate(inputs: dict[str, Tensor]) -> Evaluation:
        seen.append(len(inputs["symbols"]))
        return policy.evaluate(inputs["symbols"])

    batch = replace(a_batch(policy, symbols), inputs={"symbols": symbols})
    update_policy(evaluate, sgd(policy), batch, replace(PLAIN, micro_batch_size=5))
    assert seen == [5, 5, 2] * 2


def test_an_extra_loss_is_descended_in_the_same_step() -> None:
    policy, symbols = a_tree()
    batch = a_batch(policy, symbols)
    alone = parameters_after(policy, batch, PLAIN)
    before = torch.cat([parameter.detach().flatten().clone() for parameter in policy.parameters()])
    update_policy(policy.evaluate, sgd(policy), batch, PLAIN, extra_loss=lambda: 0.25 * policy.values.sum())
    both = torch.cat([parameter.detach().flatten() for parameter in policy.parameters()])
    logits = policy.logits.numel()
    torch.testing.assert_close(both[:logits], alone[:logits])
    torch.testing.assert_close(both[logits:], before[logits:] - 0.25)


def test_the_metrics_are_those_of_the_minibatches() -> None:
    policy, symbols = a_tree()
    batch = replace(a_batch(policy, symbols), log_prob=policy.evaluate(symbols).log_prob.detach() - 0.25)
    config = replace(PLAIN, reduction="mean", value_coefficient=0.5, clip=0.2)
    metrics = update_policy(policy.evaluate, sgd(policy), batch, config)
    # Every ratio is exp(1/4) = 1.284, above the bound.
    surrogate = -torch.minimum(math.exp(0.25) * batch.advantage, 1.2 * batch.advantage).mean()
    assert metrics["policy_loss"] == pytest.approx(surrogate.item())
    assert metrics["value_loss"] == pytest.approx(0.5 * (batch.value - batch.return_).square().mean().item())
    assert metrics["entropy"] == pytest.approx(math.log(2) / 2 + math.log(3) / 3 + math.log(6) / 6)
    assert metrics["clip_fraction"] == 1.0
    assert metrics["approx_kl"] == metrics["last_kl"] == pytest.approx(math.exp(0.25) - 1 - 0.25)
    assert metrics["grad_norm"] > 0


def test_the_last_kl_is_that_of_the_last_epoch_alone() -> None:
    policy, symbols = a_tree()
    config = replace(PLAIN, epochs=3, minibatch_size=4, clip=10.0)
    metrics = update_policy(policy.evaluate, sgd(policy, learning_rate=0.1), a_batch(policy, symbols), config)
    assert metrics["last_kl"] > metrics["approx_kl"] > 0


@pytest.mark.parametrize(("clip_high", "fraction"), [(None, 1.0), (0.3, 0.0)])
def test_the_loss_and_the_clip_fraction_obey_the_bounds_in_force(
    clip_high: float | None, fraction: float
) -> None:
    policy, symbols = a_tree()
    batch = replace(a_batch(policy, symbols), log_prob=policy.evaluate(symbols).log_prob.detach() - 0.25)
    config = replace(PLAIN, clip=0.2, clip_high=clip_high, reduction="mean")
    metrics = update_policy(policy.evaluate, sgd(policy), batch, config)
    bound = min(math.exp(0.25), 1.2 if clip_high is None else 1.0 + clip_high)
    surrogate = -torch.minimum(math.exp(0.25) * batch.advantage, bound * batch.advantage).mean()
    assert metrics["policy_loss"] == pytest.approx(surrogate.item())
    assert metrics["clip_fraction"] == fraction


def test_gradients_are_scaled_down_to_the_global_norm() -> None:
    policy, symbols = a_tree()
    batch = a_batch(policy, symbols)
    start = torch.cat([p.detach().flatten().clone() for p in policy.parameters()])
    whole = parameters_after(policy, batch, PLAIN) - start
    bounded = parameters_after(policy, batch, replace(PLAIN, max_grad_norm=0.01)) - start
    assert bounded.norm().item() == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(bounded / bounded.norm(), whole / whole.norm())


@given(seed=seeds, items=st.integers(1, 40), size=st.integers(1, 50))
def test_minibatches_hold_every_item_once(seed: int, items: int, size: int) -> None:
    parts = list(shuffled_minibatches(items, size, torch.Generator().manual_seed(seed)))
    assert sorted(torch.cat(parts).tolist()) == list(range(items))
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
    assert 0 < len(parts[-1]) <= size


def test_an_update_is_a_function_of_its_generator() -> None:
    policy, symbols = a_tree()
    batch, config = a_batch(policy, symbols), replace(PLAIN, epochs=2, minibatch_size=5)
    first, again, other = (parameters_after(policy, batch, config, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_epoch_is_shuffled_anew() -> None:
    seen: list[list[float]] = []
    policy, symbols = a_tree(depth=1, items=30)
    inputs = {"symbols": symbols, "number": torch.arange(30.0)}

    def evaluate(inputs: dict[str, Tensor]) -> Evaluation:
        seen.append(inputs["number"].tolist())
        return policy.evaluate(inputs["symbols"])

    batch = replace(a_batch(policy, symbols), inputs=inputs)
    config = replace(PLAIN, epochs=2, minibatch_size=30)
    update_policy(evaluate, sgd(policy), batch, config, generator=torch.Generator().manual_seed(0))
    assert len(seen) == 2
    assert seen[0] != seen[1]
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(30))


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("reduction", get_args(Reduction))
@given(seed=seeds)
@settings(max_examples=30)
def test_padding_with_masked_steps_changes_nothing(normalise: bool, reduction: Any, seed: int) -> None:
    policy, symbols = a_tree(depth=3, items=6, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    length = 4 if reduction == "sum_over_constant" else None
    config = replace(PLAIN, reduction=reduction, constant_length=length, value_coefficient=1.0)
    config = replace(config, normalise_advantages=normalise, entropy_coefficient=0.1)
    short = a_batch(policy, symbols[:, :2], seed=seed)
    junk = torch.randn(4, 6, 1, generator=generator, dtype=torch.float64)
    numbers = (short.log_prob, short.value, short.advantage, short.return_)
    padded = PolicyBatch(
        symbols,
        *(torch.cat([kept, extra], 1) for kept, extra in zip(numbers, junk, strict=True)),
        mask=torch.tensor([[1, 1, 0]] * 6),
    )
    torch.testing.assert_close(
        parameters_after(policy, padded, config), parameters_after(policy, short, config)
    )


@given(seed=seeds)
@settings(max_examples=30)
def test_the_order_of_the_items_does_not_matter_to_a_full_minibatch(seed: int) -> None:
    policy, symbols = a_tree(seed=seed)
    mask = torch.rand(12, 3, generator=torch.Generator().manual_seed(seed)) < 0.8
    batch = a_batch(policy, symbols, mask=mask)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(seed))
    numbers = (batch.inputs, batch.log_prob, batch.value, batch.advantage, batch.return_, mask)
    permuted = PolicyBatch(*(tensor[order] for tensor in numbers))
    config = replace(PLAIN, epochs=2, value_coefficient=0.5, normalise_advantages=True, reduction="mean")
    torch.testing.assert_close(
        parameters_after(policy, permuted, config), parameters_after(policy, batch, config)
    )


@pytest.mark.parametrize("field", ["log_prob", "advantage", "return_"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_an_error_that_leaves_the_parameters_alone(field: str, bad: float) -> None:
    policy, symbols = a_tree()
    batch = a_batch(policy, symbols)
    getattr(batch, field)[3, 1] = bad if field != "log_prob" else -bad
    before = [parameter.detach().clone() for parameter in policy.parameters()]
    config = replace(PLAIN, value_coefficient=0.5)
    with pytest.raises(FloatingPointError, match="policy update is not finite: policy, value loss"):
        update_policy(policy.evaluate, sgd(policy), batch, config)
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("epochs", 0),
        ("minibatch_size", -1),
        ("max_grad_norm", 0.0),
        ("max_learning_rate", 0.0),
        ("clip", 0.0),
        ("clip_high", 0.0),
        ("value_clip", -1.0),
        ("target_kl", 0.0),
        ("entropy_coefficient", -0.1),
        ("value_coefficient", -0.1),
        ("discount", 1.01),
        ("discount", -0.01),
        ("gae_lambda", math.nan),
        ("final_learning_rate_fraction", 1.5),
        ("reduction", "sum"),
        ("kl_coefficient", -0.1),
        ("kl_estimator", "k4"),
        ("micro_batch_size", 0),
    ],
)
def test_impossible_settings_are_refused_by_name_and_value(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"ppo\.{field} must .* not '?{value}"):
        PPOConfig(**{field: value})


@pytest.mark.parametrize("settings", [{"reduction": "sum_over_constant"}, {"constant_length": 8}])
def test_a_constant_length_goes_with_its_reduction_alone(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="give a length with sum_over_constant, and only then"):
        PPOConfig(**settings)


def test_settings_at_the_edge_of_the_possible_are_accepted() -> None:
    PPOConfig(discount=1.0, gae_lambda=0.0, entropy_coefficient=0.0, clip_high=0.28, target_kl=0.01)


def test_a_two_armed_bandit_is_solved() -> None:
    generator = torch.Generator().manual_seed(0)
    policy = TreePolicy(1, generator)
    nn.init.zeros_(policy.logits)
    pays = torch.tensor([0.2, 0.8, 0.0], dtype=torch.float64)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.05)
    config = PPOConfig(epochs=4, minibatch_size=32)
    for _ in range(30):
        with torch.no_grad():
            probabilities = torch.softmax(policy.logits[0], 0)
            symbols = torch.multinomial(probabilities, 64, replacement=True, generator=generator).unsqueeze(1)
            old = policy.evaluate(symbols)
        reward = (torch.rand(64, 1, generator=generator) < pays[symbols]).double()
        advantage = reward - old.value
        batch = PolicyBatch(symbols, old.log_prob, old.value, advantage, reward)
        update_policy(policy.evaluate, optimizer, batch, config, generator=generator)
    assert torch.softmax(policy.logits[0], 0)[1] > 0.95
    assert policy.values.item() == pytest.approx(0.8, abs=0.15)
