"""What the pixel networks share: layer tables, sizes, and frames on their way in."""

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


class FrameNormaliser(nn.Module):
    """Byte frames to floats, every pixel by its own mean and deviation over frames of the untrained policy.

    What never changes becomes zero and what moves stands out: a ball of two pixels is as loud as a wall.
    Until :meth:`measure` is called, frames are divided by 255.
    """

    SMALLEST_DEVIATION = 5.0
    """In grey levels: pixels that hardly ever change are not blown up."""
    LIMIT = 5.0
    """Normalised pixels are clipped to plus and minus this."""

    scale: Tensor
    offset: Tensor

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("scale", torch.full(shape, 1.0 / 255.0))
        self.register_buffer("offset", torch.zeros(shape))

    def forward(self, frames: Tensor) -> Tensor:
        """uint8 ``[rows, height, width, channels]`` to floats ``[rows, channels, height, width]``."""
        normal = torch.addcmul(self.offset, frames.to(self.scale.dtype), self.scale)
        return normal.clamp_(-self.LIMIT, self.LIMIT).permute(0, 3, 1, 2)

    @torch.no_grad()
    def measure(self, frames: Tensor, *, chunk: int = 256) -> None:
        """Freezes each pixel's moments at those of these frames ``[..., height, width, channels]``."""
        flat = frames.reshape(-1, *self.scale.shape)
        total = torch.zeros(self.scale.shape, dtype=torch.float64, device=self.scale.device)
        square = torch.zeros_like(total)
        for part in flat.split(chunk):
            numbers = part.to(self.scale.device, torch.float64)
            total += numbers.sum(0)
            square += numbers.square().sum(0)
        mean = total / len(flat)
        deviation = (square / len(flat) - mean.square()).clamp(min=0.0).sqrt()
        scale = 1.0 / deviation.clamp(min=self.SMALLEST_DEVIATION)
        self.scale.copy_(scale)
        self.offset.copy_(-mean * scale)


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
