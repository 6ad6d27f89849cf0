"""Rewards are callables over responses: learned, verifiable, random, or made of others; checked in one place.

A reward gives one number per response, ``[n]``, or one per token of it, ``[n, time]`` (process rewards, at
the last token of each step).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from prefrl.errors import UsageError
from prefrl.language.evaluation import gold_scores
from prefrl.language.responses import Responses
from prefrl.language.tasks.task import Task

TextReward = Callable[[Responses], Tensor]


def verifiable_reward(task: Task) -> TextReward:
    """The task's own score: what can be checked without anybody's opinion."""

    def reward(responses: Responses) -> Tensor:
        return torch.from_numpy(gold_scores(task, responses)).to(responses.mask)

    return reward


def random_reward(generator: torch.Generator) -> TextReward:
    """A control: numbers from [0, 1) that have nothing to do with the responses."""

    def reward(responses: Responses) -> Tensor:
        return torch.rand(len(responses), generator=generator).to(responses.mask)

    return reward


def combined_reward(parts: Sequence[tuple[float, TextReward]]) -> TextReward:
    """The weighted sum of several rewards; where some are per token, the others count at the last one.

    Raises:
        UsageError: there are none.
    """
    if not parts:
        raise UsageError("a combined reward needs at least one part")

    def reward(responses: Responses) -> Tensor:
        found = [weight * check_rewards(part(responses), responses) for weight, part in parts]
        if all(one.dim() == 1 for one in found):
            return torch.stack(found).sum(0)
        return torch.stack([spread_rewards(one, responses) for one in found]).sum(0)

    return reward


def penalise_missing_end(rewards: Tensor, responses: Responses, penalty: float) -> Tensor:
    """Takes a penalty off what was cut off before its end; of rewards per token, off its last one."""
    cut = penalty * (~responses.finished).to(rewards)
    if rewards.dim() == 1:
        return rewards - cut
    return rewards.scatter_add(1, responses.last.unsqueeze(1), -cut.unsqueeze(1))


def spread_rewards(rewards: Tensor, responses: Responses) -> Tensor:
    """Rewards per token ``[n, time]``: one per response goes to its last token."""
    if rewards.dim() == 2:
        return rewards * responses.mask
    return torch.zeros_like(responses.mask).scatter(1, responses.last.unsqueeze(1), rewards.unsqueeze(1))


def check_rewards(rewards: Tensor, responses: Responses) -> Tensor:
    """The rewards as they are, on the responses' device.

    Raises:
        UsageError: a wrong shape, or a reward that is not finite; the message names the first such response.
    """
    shapes = (tuple(responses.mask.shape[:1]), tuple(responses.mask.shape))
    if tuple(rewards.shape) not in shapes:
        raise UsageError(
            f"the reward of {len(responses)} responses has the shape {tuple(rewards.shape)}: give one number "
            f"per response {shapes[0]}, or one per token {shapes[1]}"
        )
    rewards = rewards.to(responses.mask)
    finite = torch.isfinite(rewards).reshape(len(responses), -1).all(1)
    if not bool(finite.all()):
        place = int((~finite).nonzero()[0])
        raise UsageError(
            f"the reward of {responses.completions[place][:60]!r} to {responses.prompts[place][:60]!r} is "
            "not finite: mend the reward"
        )
    return rewards
