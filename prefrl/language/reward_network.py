"""Reward networks for texts: transformers with a number per token, read at the last one or summed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from prefrl.ensemble import RewardEnsemble
from prefrl.errors import UsageError
from prefrl.language.models import LanguageModel, SmallModel
from prefrl.language.tokenizers import Tokenizer
from prefrl.language.transformer import Transformer
from prefrl.member_layers import MemberLinear

Reading = Literal["last", "sum"]


class RewardTransformer(nn.Module):
    """All members' bodies and heads as one module: tokens ``[rows, time]`` to ``[members, rows, time]``.

    Args:
        body: transformers, as many as there are members.
    """

    def __init__(self, body: Transformer) -> None:
        super().__init__()
        self.body = body
        self.head = MemberLinear(body.members, body.config.width, 1)
        with torch.no_grad():
            self.head.weight.mul_(0.1)  # returns start close to even odds
            self.head.bias.zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.body(tokens)
        return self.head(hidden.flatten(1, 2)).view(hidden.shape[:-1])


class ResponseTable:
    """Texts as the ensemble sees them: rows of tokens, of which some are read.

    Read are the last real token alone, or all tokens of the completion. Rows are padded on the right, where a
    causal network's earlier tokens cannot see it: a return depends neither on the padding nor on the batch.

    Args:
        tokenizer: the reward networks' own, which need not be the policy's.
        context: tokens that they can take.
        device: where the rows live.
        reading: ``last`` or ``sum``.
    """

    def __init__(
        self, tokenizer: Tokenizer, context: int, device: torch.device, *, reading: Reading = "last"
    ) -> None:
        self.tokenizer, self.context, self.device, self.reading = tokenizer, context, device, reading
        self.rows: list[list[int]] = []
        self._starts: list[int] = []
        self._tokens = torch.empty(0, 0, dtype=torch.long, device=device)
        self.start = torch.empty(0, dtype=torch.long, device=device)
        """Where each completion begins."""
        self.last = torch.empty(0, dtype=torch.long, device=device)
        """Each row's last real token."""

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, prompts: Sequence[str], completions: Sequence[str], finished: Sequence[bool]) -> None:
        """Puts texts behind those that are there.

        Raises:
            UsageError: an unknown symbol, an empty text, or one that is longer than the context.
        """
        for prompt, completion, whole in zip(prompts, completions, finished, strict=True):
            before = self.tokenizer.encode(prompt)
            row = before + self.tokenizer.encode(completion) + [self.tokenizer.end] * whole
            if not 0 < len(row) <= self.context:
                raise UsageError(
                    f"the text {(prompt + completion)[:40]!r} has {len(row)} tokens: the reward model "
                    f"takes 1 to {self.context}"
                )
            self.rows.append(row)
            self._starts.append(min(len(before), len(row) - 1))
        width = max(map(len, self.rows), default=0)
        padded = [row + [self.tokenizer.padding] * (width - len(row)) for row in self.rows]
        self._tokens = torch.tensor(padded, dtype=torch.long, device=self.device).reshape(-1, width)
        self.start = torch.tensor(self._starts, dtype=torch.long, device=self.device)
        self.last = torch.tensor([len(row) - 1 for row in self.rows], device=self.device)

    def inputs(self, rows: Tensor) -> Tensor:
        """Tokens ``[rows, time]``, no wider than they need be."""
        return self._tokens[rows, : self._width(rows)]

    def mask(self, rows: Tensor) -> Tensor:
        """``[rows, time]``, 1 at the tokens that are read."""
        last = self.last[rows].unsqueeze(1)
        first = last if self.reading == "last" else self.start[rows].unsqueeze(1)
        places = torch.arange(self._width(rows), device=self.device)
        return ((places >= first) & (places <= last)).to(torch.get_default_dtype())

    def _width(self, rows: Tensor) -> int:
        return int(self.last[rows].max()) + 1 if len(rows) else 0


def make_reward_ensemble(
    model: LanguageModel, *, members: int, from_policy: bool, device: torch.device
) -> RewardEnsemble:
    """An ensemble whose networks have the policy's shape and, if wanted, begin from its weights.

    Raises:
        UsageError: a model of transformers and more than one member.
    """
    if isinstance(model, SmallModel):
        body = Transformer(model.body.vocabulary, model.context, model.body.config, members=members)
        if from_policy:
            copy_members_(body, model.body)
        return RewardEnsemble(RewardTransformer(body), members=members).to(device)
    if members != 1:
        raise UsageError(f"reward_model.members must be 1 with a model of transformers, not {members}")
    from prefrl.language.pretrained import PretrainedReward  # transformers takes seconds to import

    return RewardEnsemble(PretrainedReward(model), members=1).to(device)


def copy_members_(target: Transformer, source: Transformer) -> None:
    """Gives every member of ``target`` the weights of ``source``'s first."""
    with torch.no_grad():
        for into, of in zip(target.parameters(), source.parameters(), strict=True):
            into.copy_(of[:1].expand_as(into))
