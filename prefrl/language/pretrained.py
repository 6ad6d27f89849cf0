"""Models of transformers, by name or folder: the only file that imports transformers and peft.

A causal language model is used through its body and its output layer, because values, rewards and the KL need
what lies between. Whether that is all there is to the model (some scale or cap their logits besides) is
checked when it is loaded.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors
from prefrl.language.tokenizers import Tokenizer


class PretrainedTokenizer:
    """A tokenizer of transformers.

    Args:
        inner: must know an end of text.
    """

    def __init__(self, inner: Any) -> None:
        if inner.eos_token_id is None:
            raise UsageError("the tokenizer has no end of text: choose a model that has one")
        self.inner = inner
        self.end = int(inner.eos_token_id)
        self.padding = self.end if inner.pad_token_id is None else int(inner.pad_token_id)

    def __len__(self) -> int:
        return len(self.inner)

    def encode(self, text: str) -> list[int]:
        """See ``Tokenizer.encode``."""
        return list(self.inner.encode(text, add_special_tokens=False))

    def decode(self, tokens: Sequence[int]) -> str:
        """See ``Tokenizer.decode``."""
        return str(self.inner.decode(list(tokens), skip_special_tokens=True))

    def save(self, folder: Path) -> None:
        """See ``Tokenizer.save``."""
        with explained_disk_errors(f"write {folder}"):
            self.inner.save_pretrained(folder)


@dataclass
class PretrainedCache:
    """The cache of a model of transformers."""

    past: Any
    padding: Tensor
    length: int

    def select(self, rows: Tensor) -> PretrainedCache:
        """See ``prefrl.language.models.Cache``; the cache that it was taken from must not be used again."""
        self.past.batch_select_indices(rows)
        return PretrainedCache(self.past, self.padding[rows], self.length)


class PretrainedModel(nn.Module):
    """A causal language model of transformers.

    Args:
        net: the model; with peft's adapters in it or without.
        suppressed: the token that is never written; None where padding and end are the same.
    """

    def __init__(self, net: Any, *, suppressed: int | None) -> None:
        super().__init__()
        self.net, self.suppressed = net, suppressed
        inner = self._inner
        self.context = int(inner.config.max_position_embeddings)
        self.width = int(inner.config.hidden_size)

    @property
    def _inner(self) -> Any:
        return self.net.get_base_model() if hasattr(self.net, "get_base_model") else self.net

    def hidden(self, tokens: Tensor, padding: Tensor | None) -> Tensor:
        """See ``LanguageModel.hidden``."""
        if padding is None:
            padding = torch.zeros(len(tokens), dtype=torch.long, device=tokens.device)
        return self._body(tokens, padding, 0, None)[0]

    def log_probs(self, hidden: Tensor) -> Tensor:
        """See ``LanguageModel.log_probs``."""
        logits = self._inner.get_output_embeddings()(hidden)
        if self.suppressed is not None:
            forbidden = torch.zeros(logits.shape[-1], dtype=logits.dtype, device=logits.device)
            forbidden[self.suppressed] = torch.finfo(logits.dtype).min
            logits = logits + forbidden
        return torch.log_softmax(logits, -1)

    def start(self, tokens: Tensor, padding: Tensor, room: int) -> tuple[Tensor, PretrainedCache]:  # noqa: ARG002
        """See ``LanguageModel.start``; the cache grows by itself."""
        from transformers import DynamicCache

        hidden, past = self._body(tokens, padding, 0, DynamicCache())
        return hidden[:, -1], PretrainedCache(past, padding, tokens.shape[1])

    def step(self, tokens: Tensor, cache: PretrainedCache) -> Tensor:
        """See ``LanguageModel.step``."""
        hidden, cache.past = self._body(tokens.unsqueeze(1), cache.padding, cache.length, cache.past)
        cache.length += 1
        return hidden[:, 0]

    def copy(self) -> PretrainedModel:
        """See ``LanguageModel.copy``."""
        return copy.deepcopy(self)

    def save(self, folder: Path, tokenizer: Tokenizer) -> None:
        """See ``LanguageModel.save``; adapters are merged into the weights."""
        net = self.net
        if hasattr(net, "merge_and_unload"):
            net = copy.deepcopy(net).merge_and_unload()
        with explained_disk_errors(f"write {folder}"):
            net.save_pretrained(folder)
        tokenizer.save(folder)

    def _body(self, tokens: Tensor, padding: Tensor, before: int, past: Any) -> tuple[Tensor, Any]:
        """Vectors of tokens that stand behind ``before`` columns, and the cache with them in it."""
        end = before + tokens.shape[1]
        if end > self.context:
            raise UsageError(
                f"{end} tokens are more than the context of {self.context} holds: shorten the prompt"
            )
        columns = torch.arange(end, device=tokens.device)
        seen = (columns >= padding.unsqueeze(1)).long()
        places = (columns[before:] - padding.unsqueeze(1)).clamp(min=0)
        outputs = self._inner.base_model(
            input_ids=tokens,
            attention_mask=seen,
            position_ids=places,
            past_key_values=past,
            use_cache=past is not None,
        )
        return outputs.last_hidden_state, outputs.past_key_values


class PretrainedReward(nn.Module):
    """The body of a model of transformers with a number for every token: a reward network of one member.

    Args:
        model: the policy, whose body is copied; or a sequence classifier with one label, as it is.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        if isinstance(model, PretrainedModel):
            self.base = copy.deepcopy(model._inner.base_model)
            self.head = nn.Linear(model.width, 1)
            nn.init.normal_(self.head.weight, std=0.1 * model.width**-0.5)
            nn.init.zeros_(self.head.bias)
        else:
            self.base, self.head = model.base_model, model.score
            if self.head.out_features != 1:
                raise UsageError(f"a reward model has one label, not {self.head.out_features}")

    def forward(self, tokens: Tensor) -> Tensor:
        """``[rows, time] -> [1, rows, time]``."""
        return self.head(self.base(input_ids=tokens).last_hidden_state).squeeze(-1).unsqueeze(0)


def load_pretrained(name: str, *, lora_rank: int = 0) -> tuple[PretrainedModel, PretrainedTokenizer]:
    """A causal language model and its tokenizer, by name or folder; in single precision.

    Args:
        name: as ``AutoModelForCausalLM.from_pretrained`` takes it.
        lora_rank: train adapters of this rank alone (Hu et al. 2021), by peft; 0 trains all weights.

    Raises:
        UsageError: transformers or peft is missing, there is no such model, or its output is more than a
            linear layer.
    """
    transformers = _transformers()
    try:
        tokenizer = PretrainedTokenizer(transformers.AutoTokenizer.from_pretrained(name))
        net = transformers.AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"the model {name!r} cannot be loaded: {_first_line(error)}") from error
    _check_output_layer(net, name)
    if lora_rank:
        net = _with_adapters(net, lora_rank)
    suppressed = None if tokenizer.padding == tokenizer.end else tokenizer.padding
    return PretrainedModel(net, suppressed=suppressed), tokenizer


def load_pretrained_reward(name: str) -> PretrainedReward:
    """A sequence classifier with one label as a reward network.

    Raises:
        UsageError: transformers is missing, there is no such model, or it has several labels.
    """
    try:
        net = _transformers().AutoModelForSequenceClassification.from_pretrained(name, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"the reward model {name!r} cannot be loaded: {_first_line(error)}") from error
    return PretrainedReward(net)


def _with_adapters(net: Any, rank: int) -> Any:
    try:
        import peft
    except ImportError as error:
        raise UsageError("LoRA needs peft: pip install 'prefrl[language]'") from error
    settings = peft.LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, task_type="CAUSAL_LM")
    return peft.get_peft_model(net, settings)


@torch.no_grad()
def _check_output_layer(net: Any, name: str) -> None:
    tokens = torch.arange(4).unsqueeze(0) % net.config.vocab_size
    net.eval()
    ours = net.get_output_embeddings()(net.base_model(input_ids=tokens).last_hidden_state)
    if not torch.allclose(net(input_ids=tokens).logits, ours, atol=1e-3, rtol=1e-3):
        raise UsageError(f"the model {name!r} does more to its logits than a linear layer: choose another")


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UsageError("models by name need transformers: pip install 'prefrl[language]'") from error
    return transformers


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
