"""The small policy's own forward and backward: the numbers of autograd."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prefrl.control.policies import VectorBody
from prefrl.control.towers import tower_outputs


def a_tower(features: int = 5, hidden: int = 7, outputs: int = 3, *, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    body = VectorBody(features, outputs, hidden=hidden)
    for parameter in body.policy.parameters():
        nn.init.normal_(parameter, std=0.7)
    return body.policy


def gradients(tower: nn.Sequential, output: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad((output * weights).sum(), list(tower.parameters())))


@given(
    rows=st.integers(0, 40), features=st.integers(1, 9), hidden=st.integers(1, 20), seed=st.integers(0, 99)
)
def test_outputs_and_gradients_are_those_of_autograd(
    rows: int, features: int, hidden: int, seed: int
) -> None:
    tower = a_tower(features, hidden, seed=seed)
    x, weights = torch.randn(rows, features), torch.randn(rows, 3)
    expected, ours = tower(x), tower_outputs(tower, x)
    torch.testing.assert_close(ours, expected)
    for mine, theirs in zip(
        gradients(tower, ours, weights), gradients(tower, expected, weights), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_large_inputs_saturate_and_stay_finite() -> None:
    tower = a_tower()
    x = torch.full((4, 5), 1e6)
    output = tower_outputs(tower, x)
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(g).all() for g in gradients(tower, output, torch.ones(4, 3)))


def test_inputs_are_left_as_they_are() -> None:
    x = torch.randn(6, 5)
    before = x.clone()
    tower_outputs(a_tower(), x).sum().backward()
    torch.testing.assert_close(x, before, rtol=0.0, atol=0.0)


def test_other_precisions_take_the_way_of_torch() -> None:
    tower = a_tower().double()
    x = torch.randn(6, 5, dtype=torch.float64)
    torch.testing.assert_close(tower_outputs(tower, x), tower(x), rtol=0.0, atol=0.0)


@pytest.mark.parametrize("grad", [True, False])
def test_it_works_with_and_without_gradients(grad: bool) -> None:
    tower = a_tower()
    with torch.set_grad_enabled(grad):
        output = tower_outputs(tower, torch.randn(2, 5))
    assert output.requires_grad is grad
    assert np.isfinite(output.detach().numpy()).all()
