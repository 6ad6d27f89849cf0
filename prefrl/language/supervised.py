"""Learning to imitate: the cross-entropy of demonstrations, in an order from easy to hard if wanted."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from prefrl.adam import Adam
from prefrl.errors import UsageError
from prefrl.language.completions import completion_inputs, completion_log_prob
from prefrl.language.models import LanguageModel
from prefrl.language.responses import Responses
from prefrl.language.tasks.task import Task

CANDIDATES: int = 4
"""A curriculum chooses among so many times the prompts it needs."""


def supervised_loss(model: LanguageModel, responses: Responses) -> Tensor:
    """Mean of ``−log π`` over the tokens of completions, their ends included; prompts teach nothing."""
    log_prob = completion_log_prob(model, completion_inputs(responses))
    return -log_prob.sum() / responses.mask.sum()


def descend(optimizer: Adam, loss: Tensor, max_grad_norm: float) -> float:
    """One step down a loss; returns the gradient's norm before it was scaled down to ``max_grad_norm``.

    Raises:
        FloatingPointError: loss or gradient is not finite; no parameter has changed then.
    """
    optimizer.zero_grad()
    loss.backward()
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm))
    if not (np.isfinite(norm) and bool(torch.isfinite(loss))):
        raise FloatingPointError(f"training is not finite: loss {float(loss)}, gradient norm {norm}")
    optimizer.step()
    return norm


def draw_demonstrations(
    task: Task, count: int, rng: np.random.Generator, *, progress: float, curriculum: bool
) -> tuple[list[str], list[str]]:
    """Prompts to train on, with completions to imitate.

    Args:
        task: makes them.
        count: how many.
        rng: of prompts and completions.
        progress: share of the training that is over, in [0, 1].
        curriculum: among four times as many prompts those are taken whose place, from easy to hard, is up to
            ``progress``: the easiest at the beginning, any at the end.
    """
    if not 0.0 <= progress <= 1.0:
        raise UsageError(f"progress must lie in [0, 1], not {progress}")
    prompts = task.prompts("train", count * (CANDIDATES if curriculum else 1), rng)
    if curriculum:
        ranked = sorted(prompts, key=task.difficulty)
        open_until = count + round((len(ranked) - count) * progress)
        prompts = [ranked[place] for place in rng.permutation(open_until)[:count]]
    return prompts, [task.demonstrate(prompt, rng) for prompt in prompts]
