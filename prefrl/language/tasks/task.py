"""What a task is, and how one is found by its name."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, cast, get_args

import numpy as np

from prefrl.errors import UsageError

Split = Literal["train", "held_out", "out_of_distribution"]
"""Prompts to train on; prompts that mean something else, for evaluation; prompts of another kind."""

TASKS: Final = {
    "addition": "prefrl.language.tasks.addition:Addition",
    "walks": "prefrl.language.tasks.walks:Walks",
    "reviews": "prefrl.language.tasks.reviews:Reviews",
    "word-problems": "prefrl.language.tasks.word_problems:WordProblems",
}
HELD_OUT_SHARE: Final = 0.1


@dataclass(frozen=True)
class StepMark:
    """One step of a completion, judged exactly."""

    end: int
    """Characters of the completion up to the end of the step."""
    right: bool


class Task(Protocol):
    """Prompts, what a good completion is, and completions to begin from.

    A task of your own is a class with these in a module of yours; its dotted name, ``my.module:MyTask``, is
    taken wherever a task's name is.
    """

    name: str
    symbols: tuple[str, ...]
    """What texts are made of: characters, or words with the space before them. The longest that fits is
    taken first."""
    longest_prompt: int
    """Symbols of a prompt at most, in every split."""
    longest_completion: int
    """Symbols of a completion at most, without the end of text."""

    def prompts(self, split: Split, count: int, rng: np.random.Generator) -> list[str]:
        """So many prompts, drawn independently."""
        ...

    def demonstrate(self, prompt: str, rng: np.random.Generator) -> str:
        """A completion to imitate; not always the best."""
        ...

    def score(self, prompt: str, completion: str) -> float:
        """The gold score, in [0, 1]: exact, and hidden from whoever learns from preferences."""
        ...

    def archetype(self, prompt: str) -> str:
        """The kind of prompt: prompts of one kind are about equally hard."""
        ...

    def difficulty(self, prompt: str) -> float:
        """Orders prompts from easy to hard."""
        ...

    def marks(self, prompt: str, completion: str) -> tuple[StepMark, ...]:
        """The steps of a completion, in order; none where the task has no exact steps."""
        ...


def make_task(name: str) -> Task:
    """The task of that name, or of a dotted name such as ``my.module:MyTask``.

    Raises:
        UsageError: no such task, or one whose module cannot be imported or that lacks a part.
    """
    place = TASKS.get(name, name)
    module, _, attribute = place.partition(":")
    if not attribute:
        raise UsageError(
            f"unknown task {name!r}: choose from {', '.join(TASKS)}, or name your own as my.module:MyTask"
        )
    try:
        task: Any = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        raise UsageError(f"task {name!r} cannot be made: {error}") from error
    parts = (*(part for part in Task.__annotations__), *_methods())
    if missing := [part for part in parts if not hasattr(task, part)]:
        raise UsageError(f"task {name!r} lacks {', '.join(missing)}: see prefrl.language.tasks.task.Task")
    return cast(Task, task)


def in_held_out(meaning: str) -> bool:
    """Whether prompts of this meaning are held out: one in ten, the same in every run."""
    return int(hashlib.sha256(meaning.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT_SHARE


def check_split(split: str) -> None:
    """Raises a UsageError for what is no split."""
    if split not in get_args(Split):
        raise UsageError(f"there is no split {split!r}: choose from {', '.join(get_args(Split))}")


def _methods() -> list[str]:
    return [name for name, part in vars(Task).items() if callable(part) and not name.startswith("_")]
