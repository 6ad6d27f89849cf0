"""The gradient of PPO's loss written out equals autograd's through the equations one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prefrl.policy_steps import Evaluation
from prefrl.ppo import PolicyBatch, minibatch_loss
from prefrl.ppo_config import PPOConfig
from prefrl.ppo_gradient import plain_gradients

CONFIG = PPOConfig(entropy_coefficient=0.02, value_coefficient=0.7, clip=0.1)


def a_part(seed: int, items: int) -> tuple[Evaluation, PolicyBatch]:
    """Ratios on both sides of the clips, advantages of both signs, values near and far from the old ones."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(7, items, generator=generator, dtype=torch.float64)
    old = 0.3 * numbers[0]
    outputs = Evaluation(old + 0.2 * numbers[1], numbers[2], numbers[3])
    return outputs, PolicyBatch(numbers[0], old, numbers[3] + 0.3 * numbers[4], numbers[5], numbers[6])


@pytest.mark.parametrize("value_clip", [None, 0.2])
@pytest.mark.parametrize("clip_high", [None, 0.3])
@pytest.mark.parametrize("normalise", [True, False])
@given(seed=st.integers(0, 2**16), items=st.integers(2, 40))
def test_gradients_and_records_are_those_of_autograd(
    value_clip: float | None, clip_high: float | None, normalise: bool, seed: int, items: int
) -> None:
    config = replace(CONFIG, value_clip=value_clip, clip_high=clip_high, normalise_advantages=normalise)
    outputs, part = a_part(seed, items)
    leaves = Evaluation(*(output.detach().requires_grad_() for output in outputs))
    loss, expected_record = minibatch_loss(leaves, part, config)
    expected = torch.autograd.grad(loss, leaves)
    gradients, record = plain_gradients(
        outputs,
        old_log_prob=part.log_prob,
        old_value=part.value,
        advantage=part.advantage,
        return_=part.return_,
        config=config,
    )
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(record, expected_record.detach())


def test_beyond_the_clip_nothing_pushes_further_and_the_way_back_is_free() -> None:
    ratios = torch.tensor([2.0, 0.5, 2.0, 0.5])
    outputs = (ratios.log(), torch.zeros(4), torch.zeros(4))
    (by_log_prob, _, _), record = plain_gradients(
        outputs,
        old_log_prob=torch.zeros(4),
        old_value=torch.zeros(4),
        advantage=torch.tensor([1.0, -1.0, -1.0, 1.0]),
        return_=torch.zeros(4),
        config=replace(CONFIG, normalise_advantages=False),
    )
    torch.testing.assert_close(by_log_prob, torch.tensor([0.0, 0.0, 0.5, -0.125]))
    assert record[4] == 1.0
