"""What the language track needs of a language model, and the small one it trains from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from prefrl.language.tokenizers import Tokenizer
from prefrl.language.transformer import KeyValueCache, Transformer


class Cache(Protocol):
    """What a model remembers of the rows it is writing."""

    def select(self, rows: Tensor) -> Cache:
        """Of these rows, in this order; a row may come several times."""
        ...


class LanguageModel(Protocol):
    """A causal language model; small ones of ours, and those of transformers."""

    @property
    def context(self) -> int:
        """Tokens of a prompt and its completion together, at most."""
        ...

    @property
    def width(self) -> int:
        """Numbers per token in ``hidden``."""
        ...

    def hidden(self, tokens: Tensor, padding: Tensor | None) -> Tensor:
        """``[rows, time] -> [rows, time, width]``; ``padding [rows]`` columns on the left are ignored."""
        ...

    def log_probs(self, hidden: Tensor) -> Tensor:
        """``[..., width] -> [..., vocabulary]``, normalised; padding is never written: its
        log-probability is the lowest number there is, which exp takes to 0 and 0 times which is 0."""
        ...

    def start(self, tokens: Tensor, padding: Tensor, room: int) -> tuple[Tensor, Any]:
        """``hidden`` of the last column ``[rows, width]``, and a cache with room for so many columns."""
        ...

    def step(self, tokens: Tensor, cache: Any) -> Tensor:
        """``hidden [rows, width]`` of one more token per row; the cache takes it in."""
        ...

    def parameters(self) -> Any:
        """What an optimizer moves."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All of its weights."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> Any:
        """Takes such weights over."""
        ...

    def copy(self) -> LanguageModel:
        """Another with the same weights; a reference that stays."""
        ...

    def save(self, folder: Path, tokenizer: Tokenizer) -> None:
        """Writes weights, settings and tokenizer, so that plain transformers load them."""
        ...


class SmallModel(nn.Module):
    """One transformer of ours as a language model; its output layer is its embedding, as in GPT-2.

    Args:
        body: a transformer with a single member.
        suppressed: the token that is never written: padding.
    """

    def __init__(self, body: Transformer, *, suppressed: int) -> None:
        super().__init__()
        self.body, self.suppressed = body, suppressed
        self.context, self.width = body.context, body.config.width

    def hidden(self, tokens: Tensor, padding: Tensor | None) -> Tensor:
        """See ``LanguageModel.hidden``."""
        vectors: Tensor = self.body(tokens, padding)
        return vectors[0]

    def log_probs(self, hidden: Tensor) -> Tensor:
        """See ``LanguageModel.log_probs``."""
        logits = self.logits(hidden)
        forbidden = torch.zeros(logits.shape[-1], dtype=logits.dtype, device=logits.device)
        forbidden[self.suppressed] = torch.finfo(logits.dtype).min
        return torch.log_softmax(logits + forbidden, -1)

    def logits(self, hidden: Tensor) -> Tensor:
        """``[..., width] -> [..., vocabulary]``, as the plain model has them."""
        return nn.functional.linear(hidden, self.body.embedding[0])

    def start(self, tokens: Tensor, padding: Tensor, room: int) -> tuple[Tensor, KeyValueCache]:
        """See ``LanguageModel.start``."""
        return self.body.start(tokens, padding, room)

    def step(self, tokens: Tensor, cache: KeyValueCache) -> Tensor:
        """See ``LanguageModel.step``."""
        return self.body.step(tokens, cache)

    def copy(self) -> SmallModel:
        """See ``LanguageModel.copy``."""
        body = Transformer(self.body.vocabulary, self.context, self.body.config)
        body.load_state_dict(self.body.state_dict())
        return SmallModel(body.to(self.body.embedding.device), suppressed=self.suppressed)

    def save(self, folder: Path, tokenizer: Tokenizer) -> None:
        """See ``LanguageModel.save``."""
        from prefrl.language.model_files import save_small_model  # it needs this class, too

        save_small_model(self, tokenizer, folder)
