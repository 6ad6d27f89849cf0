"""Advantages without a value function: a response is judged by the other responses to the same prompt.

All take ``rewards [n]``, one per response, and ``groups [n]``, a whole number per response, in any order:
which prompt it answers. A group may be wider than a prompt: with the number of the prompt's archetype (its
kind, such as algebra) as group the baseline is local to the archetype, and prompts whose own responses all
score the same still teach. Every token of a response has its response's advantage.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Deviation = Literal["sample", "population", "batch", "none"]
"""What GRPO divides by: the group's standard deviation with n − 1, with n, that of all rewards with n − 1
(Hu et al. 2025, REINFORCE++), or nothing (Dr.GRPO)."""


class GroupAdvantages(NamedTuple):
    """Advantages and how many groups had something to say."""

    advantages: Tensor
    """``[n]``, in the order of the rewards."""
    groups: int
    """Groups there are."""
    dead_groups: int
    """Groups whose rewards are all the same (a group of one, too): their advantages are 0, no gradient."""
    alive: Tensor
    """``[n]``, whether its group has spread: what dynamic sampling keeps (DAPO, Yu et al. 2025)."""


def grpo_advantages(
    rewards: Tensor, groups: Tensor, *, deviation: Deviation = "sample", epsilon: float = 1e-4
) -> GroupAdvantages:
    """``A = (r − mean_g) / (std_g + ε)``: group relative policy optimisation.

    Shao et al. 2024 (arXiv 2402.03300), section 4.1.2. The paper names neither the deviation nor ε; code has
    both deviations and ε from 1e-9 to 1e-2. The defaults are TRL's. ``deviation="none"`` is Dr.GRPO (Liu et
    al. 2025, arXiv 2503.20783): a mean only, since dividing by the spread favours prompts with little of it.

    Args:
        rewards: ``[n]``.
        groups: ``[n]`` whole numbers.
        deviation: what to divide by.
        epsilon: added to the deviation, in units of reward.

    Raises:
        ValueError: shapes that differ, or a reward that is not finite.
    """
    index, count = _indexed(rewards, groups)
    centred = rewards - _means(rewards, index, count)[index]
    alive = _has_spread(rewards, index, count)
    if deviation == "batch":
        centred = centred / (rewards.std() + epsilon) if len(rewards) > 1 else torch.zeros_like(centred)
    elif deviation != "none":
        sizes = torch.bincount(index, minlength=count).to(rewards.dtype)
        degrees = (sizes - (1.0 if deviation == "sample" else 0.0)).clamp(min=1.0)
        squares = torch.zeros(count, dtype=rewards.dtype, device=rewards.device)
        std = (squares.index_add_(0, index, centred.square()) / degrees).sqrt()
        centred = centred / (std[index] + epsilon)
    return _gathered(centred, alive, index)


def rloo_advantages(rewards: Tensor, groups: Tensor) -> GroupAdvantages:
    """``A_i = r_i − mean of the others in its group``: REINFORCE with a leave-one-out baseline.

    Kool et al. 2019; Ahmadian et al. 2024 (arXiv 2402.14740), section 3. The baseline does not depend on the
    response that it judges, so the gradient is unbiased; equal to n/(n − 1) times the centred reward.

    Arguments and errors as :func:`grpo_advantages`.
    """
    index, count = _indexed(rewards, groups)
    sizes = torch.bincount(index, minlength=count).to(rewards.dtype)
    centred = rewards - _means(rewards, index, count)[index]
    factor = sizes / (sizes - 1.0).clamp(min=1.0)
    return _gathered(centred * factor[index], _has_spread(rewards, index, count), index)


def _indexed(rewards: Tensor, groups: Tensor) -> tuple[Tensor, int]:
    """Each response's group as a number from 0 on, and how many groups there are."""
    if rewards.dim() != 1 or rewards.shape != groups.shape:
        raise ValueError(f"rewards {tuple(rewards.shape)} and groups {tuple(groups.shape)} must both be [n]")
    if not bool(torch.isfinite(rewards).all()):
        raise ValueError(f"a reward is not finite: {rewards[~torch.isfinite(rewards)][:3].tolist()}")
    names, index = torch.unique(groups, return_inverse=True)
    return index, len(names)


def _means(rewards: Tensor, index: Tensor, count: int) -> Tensor:
    sums = torch.zeros(count, dtype=rewards.dtype, device=rewards.device).index_add_(0, index, rewards)
    return sums / torch.bincount(index, minlength=count).to(rewards.dtype).clamp(min=1.0)


def _has_spread(rewards: Tensor, index: Tensor, count: int) -> Tensor:
    """Whether each group's rewards differ; compared as they are, since a deviation of equals may not be 0."""
    empty = torch.zeros(count, dtype=rewards.dtype, device=rewards.device)
    largest = empty.scatter_reduce(0, index, rewards, "amax", include_self=False)
    return largest > empty.scatter_reduce(0, index, rewards, "amin", include_self=False)


def _gathered(advantages: Tensor, alive: Tensor, index: Tensor) -> GroupAdvantages:
    kept = torch.where(alive[index], advantages, torch.zeros_like(advantages))
    return GroupAdvantages(kept, len(alive), int((~alive).sum()), alive[index])
