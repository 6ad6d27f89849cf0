"""How good a policy is by the gold score, how varied, and how far it has gone from where it began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from prefrl.kl import exact_kl
from prefrl.language.completions import frozen_distribution, frozen_log_prob
from prefrl.language.models import LanguageModel
from prefrl.language.responses import Responses
from prefrl.language.sampling import sample_responses
from prefrl.language.tasks.task import Split, Task
from prefrl.language.tokenizers import Tokenizer

LARGEST_EXACT_VOCABULARY = 1024
"""Larger vocabularies have their KL estimated from the tokens written (k1)."""


@dataclass(frozen=True)
class TextEvaluation:
    """A policy on prompts that it was not trained on."""

    gold: float
    """Mean gold score of the likeliest completions, in [0, 1]."""
    gold_sampled: float
    """Mean gold score at temperature 1; of tasks that are right or wrong, pass@1."""
    diversity: float
    """Share of distinct completions among those sampled for a prompt, mean over prompts, in (0, 1]."""
    finished: float
    """Share of sampled completions that came to their end."""
    length: float
    """Tokens per sampled completion, its end included."""
    win_rate: float | None
    """Share of the sampled completions with a higher gold score than the reference's for the same prompt;
    equals count half. None without a reference."""
    kl: float | None
    """KL of whole sequences from the reference, in nats: exact but for the prefixes, which are sampled."""

    def row(self) -> dict[str, float]:
        """What can go into a line of metrics."""
        return {f"evaluation_{name}": value for name, value in vars(self).items() if value is not None}


def evaluation_prompts(task: Task, split: Split, count: int, *, seed: int) -> list[str]:
    """At most so many different prompts; the same for the same seed."""
    drawn = task.prompts(split, count, np.random.default_rng([seed, 7]))
    return list(dict.fromkeys(drawn))


def evaluate_model(
    model: LanguageModel,
    tokenizer: Tokenizer,
    task: Task,
    prompts: Sequence[str],
    *,
    seed: int,
    reference: LanguageModel | None = None,
    copies: int = 4,
) -> TextEvaluation:
    """Evaluates a policy, without leaving a trace in anybody's random numbers.

    Args:
        model: the policy.
        tokenizer: its.
        task: scores.
        prompts: held-out ones.
        seed: of the sampled completions; policy and reference draw the same numbers.
        reference: the warm start, say.
        copies: completions sampled per prompt.
    """
    longest = task.longest_completion + 1
    likeliest = sample_responses(model, tokenizer, prompts, longest=longest, generator=None)
    sampled, rival = (
        sample_responses(
            one,
            tokenizer,
            prompts,
            longest=longest,
            copies=copies,
            generator=torch.Generator().manual_seed(seed),
        )
        for one in (model, reference or model)
    )
    scores, rival_scores = gold_scores(task, sampled), gold_scores(task, rival)
    wins = float((0.5 + 0.5 * np.sign(scores - rival_scores)).mean())
    return TextEvaluation(
        gold=float(gold_scores(task, likeliest).mean()),
        gold_sampled=float(scores.mean()),
        diversity=diversity(sampled.completions, copies),
        finished=float(sampled.finished.double().mean()),
        length=float(sampled.lengths.double().mean()),
        win_rate=None if reference is None else wins,
        kl=None if reference is None else sequence_kl(model, reference, sampled, len(tokenizer)),
    )


def gold_scores(task: Task, responses: Responses) -> np.ndarray:
    """The gold score of each response. [n]"""
    pairs = zip(responses.prompts, responses.completions, strict=True)
    return np.array([task.score(prompt, completion) for prompt, completion in pairs])


def diversity(completions: Sequence[str], copies: int) -> float:
    """Share of distinct completions among each ``copies`` in a row, mean over these groups."""
    groups = [completions[first : first + copies] for first in range(0, len(completions), copies)]
    return float(np.mean([len(set(group)) / len(group) for group in groups]))


def sequence_kl(
    model: LanguageModel, reference: LanguageModel, responses: Responses, vocabulary: int
) -> float:
    """``KL(π ‖ π_ref)`` of whole sequences in nats, from responses that π wrote at temperature 1.

    The mean over responses of ``Σ_t KL(π(·|prefix) ‖ π_ref(·|prefix))``, each summand exact; for large
    vocabularies of ``Σ_t log π − log π_ref``.
    """
    if vocabulary > LARGEST_EXACT_VOCABULARY:
        gone = frozen_log_prob(model, responses) - frozen_log_prob(reference, responses)
    else:
        gone = exact_kl(frozen_distribution(model, responses), frozen_distribution(reference, responses))
    return float((gone * responses.mask).sum(1).double().mean())
