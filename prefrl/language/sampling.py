"""Writing completions: batches with a key-value cache, from which finished rows are taken out.

A prompt is read once, however many completions of it are wanted. Every response has random numbers of its
own, drawn before anything is written, so neither the batch size nor its neighbours change what it says.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.language.models import LanguageModel
from prefrl.language.responses import Responses, encode_prompts
from prefrl.language.tokenizers import Tokenizer

BATCH = 512
"""Responses written at once: bounds the memory of the cache."""
FEWEST_LEFT = 0.75
"""Finished rows are taken out of the batch once no more than this share of it is still being written."""


@torch.no_grad()
def sample_responses(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    longest: int,
    generator: torch.Generator | None,
    copies: int = 1,
    temperature: float = 1.0,
    batch: int = BATCH,
) -> Responses:
    """Completions of prompts, ``copies`` of each, those of one prompt side by side.

    Args:
        model: who writes.
        tokenizer: the model's.
        prompts: each is completed.
        longest: tokens of a completion at most, its end included.
        generator: draws the random numbers, on the CPU; none writes the most likely token each time.
        copies: completions per prompt.
        temperature: what the logits are divided by.
        batch: responses at once; changes nothing but speed and memory.

    Returns:
        The responses; ``log_prob`` is of the distribution at ``temperature``.

    Raises:
        UsageError: a temperature that is not above 0, or prompts as ``encode_prompts`` refuses them.
    """
    if not temperature > 0:
        raise UsageError(f"temperature must be above 0, not {temperature}: for the likeliest, no generator")
    device = next(iter(model.parameters())).device
    tokens, padding = encode_prompts(prompts, tokenizer, context=model.context, room=longest, device=device)
    draws = None
    if generator is not None:
        draws = torch.rand(len(prompts) * copies, longest, generator=generator, dtype=torch.float64).to(
            device
        )
    per_batch = max(1, batch // copies)
    written, log_prob = [], []
    for first in range(0, len(prompts), per_batch):
        rows = slice(first, first + per_batch)
        own = None if draws is None else draws[first * copies : (first + per_batch) * copies]
        writer = _Writer(model, tokenizer, tokens[rows], padding[rows], longest, copies, own, temperature)
        writer.write()
        written.append(writer.written)
        log_prob.append(writer.log_prob)
    return _as_responses(prompts, copies, tokens, padding, torch.cat(written), torch.cat(log_prob), tokenizer)


class _Writer:
    """One batch of completions while it is being written."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        tokens: Tensor,
        padding: Tensor,
        longest: int,
        copies: int,
        draws: Tensor | None,
        temperature: float,
    ) -> None:
        self.model, self.end, self.longest = model, tokenizer.end, longest
        self.draws, self.temperature = draws, temperature
        rows = torch.arange(len(tokens), device=tokens.device).repeat_interleave(copies)
        hidden, cache = model.start(tokens, padding, tokens.shape[1] + longest)
        self.hidden = hidden[rows]
        self.cache = cache.select(rows) if copies > 1 else cache
        self.places = torch.arange(len(rows), device=tokens.device)
        """Which response each row of the batch is."""
        self.written = torch.full((len(rows), longest), tokenizer.padding, device=tokens.device)
        self.log_prob = torch.zeros(len(rows), longest, dtype=hidden.dtype, device=tokens.device)
        self.alive = torch.ones(len(rows), dtype=torch.bool, device=tokens.device)

    def write(self) -> None:
        for place in range(self.longest):
            token = self._put(place)
            self.alive &= token != self.end
            left = int(self.alive.sum())
            if left == 0 or place == self.longest - 1:
                return
            if left <= FEWEST_LEFT * len(self.alive):
                token = self._drop_finished(token)
            self.hidden = self.model.step(token, self.cache)

    def _put(self, place: int) -> Tensor:
        """Chooses and notes the next token of every row; a finished row's is not noted."""
        log_probs = self.model.log_probs(self.hidden)
        if self.temperature != 1.0:
            log_probs = torch.log_softmax(log_probs / self.temperature, -1)
        token = log_probs.argmax(-1)
        if self.draws is not None:
            token = _drawn(log_probs, self.draws[self.places, place])
        chosen = log_probs.gather(1, token.unsqueeze(1)).squeeze(1)
        rows = self.places[self.alive]
        self.written[rows, place] = token[self.alive]
        self.log_prob[rows, place] = chosen[self.alive]
        return token

    def _drop_finished(self, token: Tensor) -> Tensor:
        rows = self.alive.nonzero().squeeze(1)
        self.cache, self.places, self.alive = self.cache.select(rows), self.places[rows], self.alive[rows]
        return token[rows]


def _drawn(log_probs: Tensor, draws: Tensor) -> Tensor:
    """The token at which the cumulative probability passes each number in [0, 1)."""
    cumulative = log_probs.double().exp().cumsum(-1)
    wanted = draws.unsqueeze(1) * cumulative[:, -1:]
    return (cumulative <= wanted).sum(-1)


def _as_responses(
    prompts: Sequence[str],
    copies: int,
    tokens: Tensor,
    padding: Tensor,
    written: Tensor,
    log_prob: Tensor,
    tokenizer: Tokenizer,
) -> Responses:
    ends = (written == tokenizer.end).int()
    finished = ends.any(1)
    lengths = torch.where(finished, ends.argmax(1) + 1, written.shape[1])
    time = int(lengths.max())
    mask = torch.arange(time, device=tokens.device) < lengths.unsqueeze(1)
    texts = [
        tokenizer.decode(row[:length]) for row, length in zip(written.tolist(), lengths.tolist(), strict=True)
    ]
    return Responses(
        tuple(prompt for prompt in prompts for _ in range(copies)),
        tuple(texts),
        torch.cat([tokens.repeat_interleave(copies, 0), written[:, :time]], 1),
        padding.repeat_interleave(copies, 0),
        mask.to(log_prob.dtype),
        tokens.shape[1],
        finished,
        log_prob[:, :time],
    )
