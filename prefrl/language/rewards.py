"""Rewards are callables over samples: learned, verifiable, per step, or several combined.

They see texts, never tokens, so that policy and reward model may have different tokenizers. Anything with
``prompts``, ``completions`` and ``finished`` is a batch of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from prefrl.errors import UsageError


class Samples(Protocol):
    """Completions with their prompts."""

    @property
    def prompts(self) -> Sequence[str]: ...

    @property
    def completions(self) -> Sequence[str]: ...

    @property
    def finished(self) -> Tensor:
        """``[n]``, whether each came to its end before it was cut off."""
        ...


class Reward(Protocol):
    """One number per sample."""

    def __call__(self, samples: Samples) -> Tensor:
        """``[n]``, finite."""
        ...


@dataclass(frozen=True)
class StepScores:
    """Scores of the steps of samples."""

    scores: Tensor
    """``[n, steps]``, logits of the step being right where a model gives them."""
    ends: Tensor
    """``[n, steps]``, characters of the completion up to the end of the step."""
    mask: Tensor
    """``[n, steps]``, true where there is a step."""


class StepReward(Protocol):
    """Numbers per step of each sample."""

    def __call__(self, samples: Samples) -> StepScores: ...


class Verifiable:
    """The reward of a check that needs only prompt and completion: an exact answer, a test that passes.

    Args:
        check: ``(prompt, completion) -> number or bool``.
        unfinished: what a sample gets that was cut off before its end, unchecked; None checks it, too.
    """

    def __init__(self, check: Callable[[str, str], float], *, unfinished: float | None = None) -> None:
        self._check, self._unfinished = check, unfinished

    def __call__(self, samples: Samples) -> Tensor:
        rows = zip(samples.prompts, samples.completions, samples.finished.tolist(), strict=True)
        return torch.tensor(
            [
                float(self._check(prompt, completion))
                if finished or self._unfinished is None
                else self._unfinished
                for prompt, completion, finished in rows
            ],
            dtype=torch.get_default_dtype(),
        )


class Combined:
    """A weighted sum of rewards; each is checked, so that an error names the one to blame.

    Args:
        parts: name -> (reward, weight).
    """

    def __init__(self, parts: Mapping[str, tuple[Reward, float]]) -> None:
        if not parts:
            raise UsageError("a combined reward needs at least one part")
        self._parts = dict(parts)

    def __call__(self, samples: Samples) -> Tensor:
        return torch.stack(list(self.parts(samples).values())).sum(0)

    def parts(self, samples: Samples) -> dict[str, Tensor]:
        """What each part contributes, weighed: ``[n]`` by name."""
        return {
            name: weight * check_rewards(reward(samples), len(samples.prompts), name=name)
            for name, (reward, weight) in self._parts.items()
        }


class OverlongPenalty:
    """Takes off ever more from completions longer than ``longest − margin``, and 1 beyond ``longest``.

    ``0`` up to ``L − c``, then ``((L − c) − |y|) / c``, and −1 beyond L: the soft penalty of DAPO (Yu et al.
    2025, arXiv 2503.14476, eq. 13).

    Args:
        length: a completion's length, in tokens of the policy, say.
        longest: L.
        margin: c above 0.
    """

    def __init__(self, length: Callable[[str], int], *, longest: int, margin: int) -> None:
        if not 0 < margin <= longest:
            raise UsageError(f"the margin must lie in 1 .. {longest}, the longest completion, not {margin}")
        self._length, self._longest, self._margin = length, longest, margin

    def __call__(self, samples: Samples) -> Tensor:
        lengths = torch.tensor([float(self._length(text)) for text in samples.completions])
        return ((self._longest - self._margin - lengths) / self._margin).clamp(-1.0, 0.0)


def check_rewards(rewards: Tensor, count: int, *, name: str = "the reward") -> Tensor:
    """The rewards, if they are what was asked for: one finite number per sample.

    Raises:
        UsageError: another shape, or a number that is not finite; the message says whose and where.
    """
    if not isinstance(rewards, Tensor) or rewards.shape != (count,):
        shape = tuple(rewards.shape) if isinstance(rewards, Tensor) else type(rewards).__name__
        raise UsageError(f"{name} gave {shape} for {count} samples: give a tensor of shape ({count},)")
    wrong = ~torch.isfinite(rewards)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise UsageError(
            f"{name} gave {rewards[row].item()} to sample {row} ({int(wrong.sum())} of {count} not finite)"
            ": mend the reward, or map what it cannot judge to a number"
        )
    return rewards.to(torch.get_default_dtype())
