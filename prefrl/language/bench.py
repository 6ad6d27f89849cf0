"""What every stage of a run works with: the task, the model, and where random numbers come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from prefrl.devices import make_device
from prefrl.errors import UsageError
from prefrl.language.config import LanguageConfig
from prefrl.language.model_files import is_small_model, load_small_model
from prefrl.language.models import LanguageModel, SmallModel
from prefrl.language.responses import Responses
from prefrl.language.sampling import sample_responses
from prefrl.language.tasks.task import Task, make_task
from prefrl.language.tokenizers import SymbolTokenizer, Tokenizer
from prefrl.language.transformer import Transformer

Row = dict[str, Any]
"""Of metrics."""


@dataclass
class Bench:
    """The state that stages share; all of it is saved with a checkpoint."""

    config: LanguageConfig
    task: Task
    tokenizer: Tokenizer
    model: LanguageModel
    rng: np.random.Generator
    """Draws prompts, demonstrations and pairs."""
    generator: torch.Generator
    """Draws tokens and minibatches, on the CPU."""
    device: torch.device

    @property
    def longest(self) -> int:
        """Tokens of a completion at most, its end included."""
        return self.task.longest_completion + 1

    @property
    def trained(self) -> list[torch.nn.Parameter]:
        """The model's parameters that move: all of them, or its adapters."""
        return [one for one in self.model.parameters() if one.requires_grad]

    def write(self, prompts: list[str], *, copies: int = 1, temperature: float = 1.0) -> Responses:
        """Completions by the present policy."""
        return sample_responses(
            self.model,
            self.tokenizer,
            prompts,
            longest=self.longest,
            generator=self.generator,
            copies=copies,
            temperature=temperature,
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "rng": self.rng.bit_generator.state,
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.rng.bit_generator.state = state["rng"]
        self.generator.set_state(state["generator"])


class Stage(Protocol):
    """A part of a run: it is advanced until it is done, and can be saved in between."""

    step: int
    """Steps of this stage so far: texts trained on."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        ...

    def advance(self) -> Row:
        """One update, and what there is to say of it."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything of its own that the rest of it depends on."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues from ``state_dict``."""
        ...


def make_bench(config: LanguageConfig) -> Bench:
    """The bench of a run before its first step: the same for the same settings and seed.

    Raises:
        UsageError: an unknown task, device or model; or a model whose context the task does not fit into.
    """
    task, device = make_task(config.task), make_device(config.device)
    torch.manual_seed(config.seed)
    model, tokenizer = _make_model(config, task)
    wanted = task.longest_prompt + task.longest_completion + 1
    if model.context < wanted:
        raise UsageError(
            f"the model's context of {model.context} tokens is too short for task {task.name}, which needs "
            f"{wanted}: choose another --start"
        )
    return Bench(
        config,
        task,
        tokenizer,
        model.to(device),  # type: ignore[attr-defined]
        np.random.default_rng([config.seed, 5]),
        torch.Generator().manual_seed(config.seed),
        device,
    )


def context_of(task: Task) -> int:
    """Tokens that a prompt and its completion take at most."""
    return task.longest_prompt + task.longest_completion + 1


def _make_model(config: LanguageConfig, task: Task) -> tuple[LanguageModel, Tokenizer]:
    if config.start is None:
        tokenizer = SymbolTokenizer(task.symbols)
        body = Transformer(len(tokenizer), context_of(task), config.model)
        return SmallModel(body, suppressed=tokenizer.padding), tokenizer
    folder = Path(config.start)
    if is_small_model(folder):
        return load_small_model(folder)
    from prefrl.language.pretrained import load_pretrained  # transformers takes seconds to import

    return load_pretrained(config.start, lora_rank=config.lora_rank)
