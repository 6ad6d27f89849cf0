"""PPO's steps written out for small policies: those of autograd."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from hypothesis import given, settings
from hypothesis import strategies as st

from prefrl.control.policies import Policy, make_policy
from prefrl.control.tower_steps import TowerSteps, make_steps
from prefrl.policy_steps import AutogradSteps
from prefrl.ppo import PolicyBatch, improve_policy
from prefrl.ppo_config import PPOConfig

OBSERVATIONS = Box(-np.inf, np.inf, (5,), np.float32)
CONFIG = PPOConfig(epochs=3, minibatch_size=16, entropy_coefficient=0.01)


def a_policy(seed: int, *, actions: int = 3, hidden: int = 8) -> Policy:
    torch.manual_seed(seed)
    policy = make_policy(OBSERVATIONS, Box(-1.0, 1.0, (actions,), np.float32), hidden=hidden)
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return policy


@torch.no_grad()
def a_batch(policy: Policy, rows: int = 40) -> PolicyBatch:
    inputs = {"observation": torch.randn(rows, 5), "action": torch.randn(rows, policy.actions)}
    evaluation = policy.evaluate(inputs)
    advantage, return_ = torch.randn(2, rows)
    return PolicyBatch(inputs, evaluation.log_prob, evaluation.value, advantage, return_)


def with_autograd(policy: Policy) -> AutogradSteps:
    return AutogradSteps(policy.evaluate, torch.optim.Adam(policy.parameters(), lr=1e-3, eps=1e-5))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), actions=st.integers(1, 4), hidden=st.integers(1, 16))
def test_updates_are_those_of_autograd(seed: int, actions: int, hidden: int) -> None:
    plain = a_policy(seed, actions=actions, hidden=hidden)
    own = copy.deepcopy(plain)
    batch = a_batch(plain)
    metrics = [
        improve_policy(steps, batch, CONFIG, generator=torch.Generator().manual_seed(seed))
        for steps in (with_autograd(plain), TowerSteps(own, learning_rate=1e-3))
    ]
    assert metrics[0] == pytest.approx(metrics[1], rel=1e-3, abs=1e-5)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(own.get_parameter(name), parameter, rtol=1e-3, atol=1e-5)


def test_the_policy_moves_and_goes_on_from_its_saved_state() -> None:
    first = a_policy(1)
    batch, steps = a_batch(first), TowerSteps(first, learning_rate=1e-3)
    before = copy.deepcopy(first.state_dict())
    improve_policy(steps, batch, CONFIG, generator=torch.Generator().manual_seed(2))
    assert all(not torch.equal(before[name], part) for name, part in first.state_dict().items())

    second = a_policy(7)
    resumed = TowerSteps(second, learning_rate=1e-3)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    resumed.optimizer.load_state_dict(copy.deepcopy(steps.optimizer.state_dict()))
    for one in (steps, resumed):
        improve_policy(one, batch, CONFIG, generator=torch.Generator().manual_seed(3))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.0, atol=0.0)


def test_a_step_that_is_not_finite_changes_nothing() -> None:
    policy = a_policy(1)
    batch, steps = a_batch(policy), TowerSteps(policy, learning_rate=1e-3)
    before = copy.deepcopy(policy.state_dict())
    batch.return_[3] = torch.inf
    with pytest.raises(FloatingPointError, match="not finite"):
        improve_policy(steps, batch, replace(CONFIG, minibatch_size=40))
    for name, part in policy.state_dict().items():
        torch.testing.assert_close(part, before[name], rtol=0.0, atol=0.0)


def test_other_policies_take_the_way_of_autograd() -> None:
    discrete = make_policy(OBSERVATIONS, Discrete(3))
    frames = make_policy(Box(0, 255, (84, 84, 4), np.uint8), Box(-1.0, 1.0, (2,), np.float32))
    for policy in (discrete, frames, a_policy(0).double()):
        assert isinstance(make_steps(policy, 1e-3), AutogradSteps)
        with pytest.raises(ValueError, match="Gaussian policy with towers"):
            TowerSteps(policy, learning_rate=1e-3)
    assert isinstance(make_steps(a_policy(0), 1e-3), TowerSteps)
    assert isinstance(make_steps(a_policy(0), 1e-3, micro_batch_size=8), AutogradSteps)
