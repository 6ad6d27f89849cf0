"""What the pixel networks share: layer tables, sizes, and frames that stay bytes to the last moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class ConvLayer(NamedTuple):
    """One convolution without padding."""

    filters: int
    kernel: int
    stride: int


def feature_sizes(layers: Sequence[ConvLayer], shape: tuple[int, int, int]) -> list[tuple[ConvLayer, int]]:
    """Each layer with a kernel that fits what is left of ``shape`` (height, width, channels).

    Frames smaller than the layers were made for get smaller kernels instead of an error.
    """
    size, fitted = min(shape[0], shape[1]), []
    for layer in layers:
        kernel = min(layer.kernel, size)
        fitted.append((layer, kernel))
        size = (size - kernel) // layer.stride + 1
    return fitted


def scaled_first_layer(conv: nn.Conv2d, frames: Tensor) -> Tensor:
    """``conv(frames / 255)`` on byte frames ``[rows, channels, height, width]``.

    The division is folded into the weights, which are far fewer than the pixels.
    """
    weight = conv.weight * (1.0 / 255.0)
    return nn.functional.conv2d(frames.to(weight.dtype), weight, conv.bias, conv.stride)


def channels_last_(module: nn.Module) -> None:
    """Convolution weights in the order in which frames come, so that nothing is transposed on the way."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def orthogonal_(layer: nn.Module, gain: float) -> nn.Module:
    """Orthogonal weights and zero biases, the usual start of a PPO policy (Engstrom et al. 2020)."""
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    nn.init.orthogonal_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
