"""Adam equals PyTorch's own to the bit, goes on from its state, and brings no compiler along."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from prefrl.adam import Adam

SHAPES = [(7, 3), (3,), (2, 3, 4)]


def parameters(seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in SHAPES]


def give_gradients(own: list[Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in own:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-5])
def test_its_steps_are_those_of_pytorch(epsilon: float) -> None:
    own, others = parameters(0), parameters(0)
    adam = Adam(own, learning_rate=0.01, epsilon=epsilon)
    reference = torch.optim.Adam(others, lr=0.01, eps=epsilon, foreach=True)
    for step in range(50):
        give_gradients(own, step)
        give_gradients(others, step)
        rate = 0.01 / (1 + step)
        adam.param_groups[0]["lr"] = reference.param_groups[0]["lr"] = rate
        adam.step()
        reference.step()
    for one, other in zip(own, others, strict=True):
        assert torch.equal(one, other)


def test_the_first_step_is_the_learning_rate_along_the_sign_of_the_gradient() -> None:
    parameter = torch.tensor([1.0, 1.0], requires_grad=True)
    parameter.grad = torch.tensor([0.5, -200.0])
    Adam([parameter], learning_rate=0.1).step()
    torch.testing.assert_close(parameter.detach(), torch.tensor([0.9, 1.1]))


def test_a_parameter_without_a_gradient_stays_and_counts_no_step() -> None:
    own, others = parameters(1), parameters(1)
    adam, reference = Adam(own, learning_rate=0.1), torch.optim.Adam(others, lr=0.1, foreach=True)
    for step in range(3):
        give_gradients(own, step)
        give_gradients(others, step)
        if step == 1:
            own[0].grad = others[0].grad = None
        adam.step()
        reference.step()
    assert adam.state_dict()["steps"] == [2, 3, 3]
    for one, other in zip(own, others, strict=True):
        assert torch.equal(one, other)
    adam.zero_grad()
    assert [parameter.grad for parameter in own] == [None] * 3
    before = own[0].detach().clone()
    adam.step()
    assert torch.equal(own[0], before)


def test_it_goes_on_from_its_saved_state() -> None:
    own = parameters(2)
    adam = Adam(own, learning_rate=0.1)
    for step in range(3):
        give_gradients(own, step)
        adam.step()
    resumed = [parameter.detach().clone().requires_grad_() for parameter in own]
    other, state = Adam(resumed, learning_rate=0.1), adam.state_dict()
    other.load_state_dict(state)
    for some in (own, resumed):
        give_gradients(some, 3)
    adam.step()  # the saved state is a copy: this must not reach it
    other.step()
    for one, another in zip(own, resumed, strict=True):
        assert torch.equal(one, another)


def test_the_state_of_other_parameters_is_refused() -> None:
    adam = Adam(parameters(0), learning_rate=0.1)
    state = Adam(parameters(0)[:2], learning_rate=0.1).state_dict()
    with pytest.raises(ValueError, match="other parameters"):
        adam.load_state_dict(state)


def test_a_step_imports_no_compiler() -> None:
    code = """
import sys, torch
from prefrl.adam import Adam
p = torch.ones(3, requires_grad=True)
p.grad = torch.ones(3)
Adam([p], learning_rate=0.1).step()
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
