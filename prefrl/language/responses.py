"""Responses: prompts with their completions, as texts and as the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.language.tokenizers import Tokenizer


@dataclass(frozen=True)
class Responses:
    """n responses; prompts end, and completions begin, in the same column.

    ``[prompt, padded on the left | completion with its end of text, padded on the right]``
    """

    prompts: tuple[str, ...]
    completions: tuple[str, ...]
    """Without the end of text."""
    tokens: Tensor
    """``[n, prompt_columns + time]``."""
    padding: Tensor
    """``[n]``, columns on the left that hold nothing."""
    mask: Tensor
    """``[n, time]``, 1 where there is a token of the completion, its end included."""
    prompt_columns: int
    finished: Tensor
    """``[n]``, whether the completion came to its end before it was cut off."""
    log_prob: Tensor | None = None
    """``[n, time]``, of each token under the policy that wrote it; 0 beyond the end. None: nobody knows."""

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def last(self) -> Tensor:
        """``[n]``, the last token's place among the completion's columns."""
        return self.mask.sum(1).long() - 1

    @property
    def lengths(self) -> Tensor:
        """``[n]``, tokens of each completion, its end included."""
        return self.mask.sum(1).long()

    @property
    def written(self) -> Tensor:
        """The completions' tokens ``[n, time]``."""
        return self.tokens[:, self.prompt_columns :]

    def take(self, rows: Tensor) -> Responses:
        """These responses, in this order."""
        places = rows.tolist()
        return Responses(
            tuple(self.prompts[place] for place in places),
            tuple(self.completions[place] for place in places),
            self.tokens[rows],
            self.padding[rows],
            self.mask[rows],
            self.prompt_columns,
            self.finished[rows],
            None if self.log_prob is None else self.log_prob[rows],
        )


def encode_prompts(
    prompts: Sequence[str],
    tokenizer: Tokenizer,
    *,
    context: int,
    room: int,
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:
    """Prompts padded on the left ``[n, columns]``, and the columns of padding ``[n]``.

    Args:
        prompts: at least one, none of them empty.
        tokenizer: of the model.
        context: tokens that the model can take.
        room: tokens wanted for a completion.
        device: where the tensors live.

    Raises:
        UsageError: no prompt, an empty one, an unknown symbol, or one that leaves no such room.
    """
    rows = [tokenizer.encode(prompt) for prompt in prompts]
    if not rows or not all(rows):
        raise UsageError("a prompt is empty, or there is none: give prompts of at least one token")
    columns = max(map(len, rows))
    if columns + room > context:
        longest = prompts[max(range(len(rows)), key=lambda place: len(rows[place]))]
        raise UsageError(
            f"the prompt {longest[:40]!r} of {columns} tokens and a completion of {room} do not fit into a "
            f"context of {context} tokens: shorten the prompt or the completion"
        )
    padded = [[tokenizer.padding] * (columns - len(row)) + row for row in rows]
    padding = torch.tensor([columns - len(row) for row in rows], device=device)
    return torch.tensor(padded, device=device), padding


def encode_responses(
    prompts: Sequence[str],
    completions: Sequence[str],
    tokenizer: Tokenizer,
    *,
    context: int,
    device: torch.device | None = None,
    finished: Sequence[bool] | None = None,
) -> Responses:
    """Written texts as responses; each that is finished gets its end of text.

    Raises:
        UsageError: as :func:`encode_prompts`; or numbers of prompts and completions differ.
    """
    if len(prompts) != len(completions):
        raise UsageError(f"{len(prompts)} prompts and {len(completions)} completions: give as many of each")
    done = [True] * len(prompts) if finished is None else list(finished)
    rows = [
        tokenizer.encode(text) + [tokenizer.end] * whole
        for text, whole in zip(completions, done, strict=True)
    ]
    if not all(rows):
        raise UsageError("a completion that has not ended is empty: leave it out")
    time = max(map(len, rows), default=0)
    before, padding = encode_prompts(prompts, tokenizer, context=context, room=time, device=device)
    after = torch.tensor([row + [tokenizer.padding] * (time - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    mask = (torch.arange(time, device=device) < lengths.unsqueeze(1)).to(torch.get_default_dtype())
    return Responses(
        tuple(prompts),
        tuple(completions),
        torch.cat([before, after], 1),
        padding,
        mask,
        before.shape[1],
        torch.tensor(done, device=device),
    )
