"""A small decoder-only transformer, one or several of them evaluated at once.

The form is GPT-2's (pre-norm, learned positions, tied embedding), so that weights go to and from plain
transformers unchanged. Positions are learned rather than rotary because prompts here are short and of fixed
form, and a table costs nothing per step; the activation is ReLU, because GELU alone took a fifth of an update
on two cores and learned no better. Attention is written out: at these lengths (below 64) it is faster forward
and backward than PyTorch's fused kernel on a CPU.

A leading dimension of members makes a policy (one member) and a reward ensemble (several) the same code;
every parameter is grouped by member, as :mod:`prefrl.member_layers` asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prefrl.errors import UsageError
from prefrl.language.model_config import ModelConfig
from prefrl.member_layers import MemberLinear


@dataclass
class KeyValueCache:
    """What earlier tokens left behind for attention: keys and values ``[rows, heads, room, size]``."""

    keys: list[Tensor]
    values: list[Tensor]
    padding: Tensor
    """Columns of each row to ignore, on the left. [rows]"""
    length: int
    """Columns filled."""

    def select(self, rows: Tensor) -> KeyValueCache:
        """The cache of these rows, in this order; a row may come several times."""
        keys, values = ([one.index_select(0, rows) for one in part] for part in (self.keys, self.values))
        return KeyValueCache(keys, values, self.padding[rows], self.length)


class Transformer(nn.Module):
    """From tokens to one vector per token.

    Args:
        vocabulary: tokens there are.
        context: the longest sequence.
        config: the shape.
        members: transformers evaluated at once, on the same tokens.
    """

    def __init__(self, vocabulary: int, context: int, config: ModelConfig, *, members: int = 1) -> None:
        super().__init__()
        self.vocabulary, self.context, self.config, self.members = vocabulary, context, config, members
        width = config.width
        self.embedding = nn.Parameter(torch.randn(members, vocabulary, width) * 0.05)
        self.positions = nn.Parameter(torch.randn(members, context, width) * 0.02)
        self.blocks = nn.ModuleList(Block(config, members) for _ in range(config.layers))
        self.norm = MemberNorm(members, width)

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """Vectors ``[members, rows, time, width]`` of tokens ``[rows, time]``, each seeing those before it.

        Args:
            tokens: whole numbers below ``vocabulary``.
            padding: columns of each row to ignore, on the left, ``[rows]``; none where there are none.

        Raises:
            UsageError: more tokens than the context holds.
        """
        length = tokens.shape[1]
        self._check_length(length)
        places = torch.arange(length, device=tokens.device)
        bias = torch.full((length, length), -math.inf, device=tokens.device, dtype=self.positions.dtype).triu(
            1
        )
        if padding is not None:
            bias = bias + _hidden_columns(padding, length, self.positions.dtype)
            places = (places - padding.unsqueeze(1)).clamp(min=0)
        x = self._embed(tokens, places)
        for block in self.blocks:
            x = block(x, bias)
        return self.norm(x)

    def start(self, tokens: Tensor, padding: Tensor, room: int) -> tuple[Tensor, KeyValueCache]:
        """The vectors of the last tokens ``[rows, width]``, and a cache with room for so many columns in all.

        For a single member. Rows end in the same column: pad them on the left.
        """
        self._check_length(room)
        rows, length = tokens.shape
        shape = (rows, self.config.heads, room, self.config.width // self.config.heads)
        dtype = self.positions.dtype
        cache = KeyValueCache(
            [torch.empty(shape, dtype=dtype, device=tokens.device) for _ in self.blocks],
            [torch.empty(shape, dtype=dtype, device=tokens.device) for _ in self.blocks],
            padding,
            0,
        )
        causal = torch.full((length, length), -math.inf, dtype=dtype, device=tokens.device).triu(1)
        places = (torch.arange(length, device=tokens.device) - padding.unsqueeze(1)).clamp(min=0)
        return self._through(tokens, places, causal, cache)[:, -1], cache

    def step(self, tokens: Tensor, cache: KeyValueCache) -> Tensor:
        """The vectors ``[rows, width]`` of one more token per row; the cache grows by them."""
        places = (cache.length - cache.padding).unsqueeze(1)
        return self._through(tokens.unsqueeze(1), places, None, cache)[:, 0]

    def _through(self, tokens: Tensor, places: Tensor, causal: Tensor | None, cache: KeyValueCache) -> Tensor:
        length = cache.length + tokens.shape[1]
        bias = causal
        if bool((cache.padding > 0).any()):
            hidden = _hidden_columns(cache.padding, length, self.positions.dtype)
            bias = hidden if causal is None else hidden + causal
        x = self._embed(tokens, places)
        for place, block in enumerate(self.blocks):
            x = block(x, bias, (cache.keys[place], cache.values[place], cache.length))
        cache.length = length
        return self.norm(x)[0]

    def _embed(self, tokens: Tensor, places: Tensor) -> Tensor:
        offsets = torch.arange(self.members, device=tokens.device).view(-1, 1, 1)
        words = nn.functional.embedding(tokens + offsets * self.vocabulary, self.embedding.flatten(0, 1))
        if places.dim() == 1:
            return words + self.positions[:, : len(places)].unsqueeze(1)
        return words + nn.functional.embedding(places + offsets * self.context, self.positions.flatten(0, 1))

    def _check_length(self, length: int) -> None:
        if length > self.context:
            raise UsageError(
                f"{length} tokens are more than the context of {self.context} holds: shorten the prompt"
            )


class Block(nn.Module):
    """Attention, then two layers of feed-forward, each added to what it was given."""

    def __init__(self, config: ModelConfig, members: int) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.before_attention = MemberNorm(members, width)
        self.attention = _linear(members, width, 3 * width)
        self.attended = _linear(members, width, width, scale=(2 * config.layers) ** -0.5)
        self.before_feed = MemberNorm(members, width)
        self.feed = _linear(members, width, 4 * width)
        self.fed = _linear(members, 4 * width, width, scale=(2 * config.layers) ** -0.5)

    def forward(
        self, x: Tensor, bias: Tensor | None, cache: tuple[Tensor, Tensor, int] | None = None
    ) -> Tensor:
        """``x [members, rows, time, width]``; ``bias`` is added to the attention's logits."""
        shape = x.shape
        flat = x.reshape(shape[0], -1, shape[-1])
        parts = self.attention(self.before_attention(flat))
        parts = parts.view(*shape[:-1], 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)
        query, key, value = parts.unbind(0)  # [members, rows, heads, time, size]
        if cache is not None:
            key, value = _remember(key, value, *cache)
        logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        if bias is not None:
            logits = logits + bias
        seen = torch.softmax(logits, -1) @ value
        flat = flat + self.attended(seen.transpose(-3, -2).reshape(flat.shape))
        flat = flat + self.fed(torch.relu(self.feed(self.before_feed(flat))))
        return flat.view(shape)


class MemberNorm(nn.Module):
    """Layer normalisation with each member's own scale and shift."""

    def __init__(self, members: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(members, width))
        self.bias = nn.Parameter(torch.zeros(members, width))

    def forward(self, x: Tensor) -> Tensor:
        """``[members, ..., width]``."""
        width = x.shape[-1:]
        if len(self.weight) == 1:
            return nn.functional.layer_norm(x, width, self.weight[0], self.bias[0])
        shape = (len(self.weight), *[1] * (x.dim() - 2), -1)
        return torch.addcmul(
            self.bias.view(shape), nn.functional.layer_norm(x, width), self.weight.view(shape)
        )


def _linear(members: int, inputs: int, outputs: int, *, scale: float = 1.0) -> MemberLinear:
    layer = MemberLinear(members, inputs, outputs)
    with torch.no_grad():
        layer.weight.mul_(scale)
        layer.bias.zero_()
    return layer


def _remember(key: Tensor, value: Tensor, keys: Tensor, values: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Puts the new keys and values of one member behind the old ones, and gives all of them."""
    end = length + key.shape[-2]
    keys[:, :, length:end], values[:, :, length:end] = key[0], value[0]
    return keys[:, :, :end].unsqueeze(0), values[:, :, :end].unsqueeze(0)


def _hidden_columns(padding: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """``[rows, 1, 1, length]``: minus infinity in the columns of padding, else 0.

    Finite for the columns before the first token, which see nothing but themselves: no NaN arises there.
    """
    hidden = torch.arange(length, device=padding.device) < padding.unsqueeze(1)
    return torch.zeros(hidden.shape, dtype=dtype, device=padding.device).masked_fill(
        hidden, torch.finfo(dtype).min
    )[:, None, None]
