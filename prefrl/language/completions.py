"""What a language model says of completions that are written already."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from prefrl.language.models import LanguageModel
from prefrl.language.responses import Responses

CHUNK = 512
"""Responses evaluated at once where no gradient is wanted: bounds the memory."""


def completion_inputs(responses: Responses) -> dict[str, Tensor]:
    """The rows of responses as a batch that can be cut into minibatches: tokens, mask and padding."""
    inputs = {"tokens": responses.tokens, "mask": responses.mask}
    if bool((responses.padding > 0).any()):
        inputs["padding"] = responses.padding
    return inputs


def completion_hidden(model: LanguageModel, inputs: Mapping[str, Tensor]) -> Tensor:
    """What the model has in mind before each token of the completions, ``[rows, time, width]``."""
    time = inputs["mask"].shape[1]
    hidden = model.hidden(inputs["tokens"][:, :-1], inputs.get("padding"))
    return hidden[:, hidden.shape[1] - time :]


def chosen_log_prob(log_probs: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """``[rows, time, vocabulary] -> [rows, time]``: of the tokens that stand there; 0 beyond the end."""
    mask = inputs["mask"].bool()
    written = inputs["tokens"][:, -mask.shape[1] :]
    # Where nothing stands any token will do, but padding, whose probability is 0.
    safe = torch.where(mask, written, written[:, :1])
    chosen = log_probs.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
    return torch.where(mask, chosen, torch.zeros_like(chosen))


def completion_log_prob(model: LanguageModel, inputs: Mapping[str, Tensor]) -> Tensor:
    """``log π`` of every token of completions, ``[rows, time]``, with gradients; 0 beyond the end."""
    return chosen_log_prob(model.log_probs(completion_hidden(model, inputs)), inputs)


@torch.no_grad()
def frozen_log_prob(model: LanguageModel, responses: Responses) -> Tensor:
    """:func:`completion_log_prob` without gradients, a chunk at a time: a reference's, say."""
    inputs = completion_inputs(responses)
    parts = torch.arange(len(responses), device=responses.tokens.device).split(CHUNK)
    return torch.cat([completion_log_prob(model, rows_of(inputs, part)) for part in parts])


@torch.no_grad()
def frozen_distribution(model: LanguageModel, responses: Responses) -> Tensor:
    """``log π`` of the whole vocabulary before every token, ``[rows, time, vocabulary]``; for small ones."""
    inputs = completion_inputs(responses)
    parts = torch.arange(len(responses), device=responses.tokens.device).split(CHUNK)
    return torch.cat([model.log_probs(completion_hidden(model, rows_of(inputs, part))) for part in parts])


def rows_of(inputs: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """These rows of a batch."""
    return {name: part[rows] for name, part in inputs.items()}
