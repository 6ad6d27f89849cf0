"""Layers that evaluate all members of an ensemble at once.

Every parameter's first dimension is grouped by member, so ``parameter.view(members, -1)`` is one row of
numbers per member: :func:`squared_norms` and the tests against separate networks rely on it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MemberLinear(nn.Module):
    """``members`` linear layers as one product: ``[members, rows, in]`` to ``[members, rows, out]``."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs))
        bound = 1.0 / math.sqrt(inputs)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class SharedLinear(nn.Module):
    """The first layer: every member sees the same rows, ``[rows, in]`` to ``[members, rows, out]``.

    One wide matrix product instead of ``members`` narrow ones.
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.members = members
        layer = nn.Linear(inputs, members * outputs)
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        flat = nn.functional.linear(x, self.weight, self.bias)
        return flat.view(x.shape[0], self.members, -1).transpose(0, 1)


def member_conv(
    members: int, inputs: int, outputs: int, kernel: int, stride: int, *, first: bool = False
) -> nn.Conv2d:
    """``members`` convolutions as one: shared input channels in the ``first`` layer, grouped after it."""
    if first:
        return nn.Conv2d(inputs, members * outputs, kernel, stride)
    return nn.Conv2d(members * inputs, members * outputs, kernel, stride, groups=members)


def members_of(features: Tensor, members: int) -> Tensor:
    """``[rows, members * channels, height, width]`` to ``[members, rows, channels * height * width]``."""
    rows = features.shape[0]
    return features.reshape(rows, members, -1).transpose(0, 1)


def squared_norms(module: nn.Module, members: int) -> Tensor:
    """Sum of squares of each member's own parameters: ``[members]``, with gradients."""
    return torch.stack([p.reshape(members, -1).square().sum(1) for p in module.parameters()]).sum(0)


def clip_member_gradients_(module: nn.Module, members: int, max_norm: float) -> None:
    """Scales each member's own gradient down to ``max_norm``: one member's size never reaches another."""
    parameters = [p for p in module.parameters() if p.grad is not None]
    squares = torch.stack([p.grad.reshape(members, -1).square().sum(1) for p in parameters])  # type: ignore[union-attr]
    scale = (max_norm / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1.0)
    for p in parameters:
        rows = scale.repeat_interleave(p.shape[0] // members)
        p.grad.mul_(rows.view(-1, *[1] * (p.dim() - 1)))  # type: ignore[union-attr]
