"""From the rewards of a rollout to the batch that the policy update takes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from prefrl.group_advantages import Deviation, GroupAdvantages, grpo_advantages, rloo_advantages
from prefrl.kl import kl_penalty
from prefrl.language.completions import completion_inputs
from prefrl.language.responses import Responses
from prefrl.language.rewards import spread_rewards
from prefrl.policy_gradient import generalised_advantages, whiten_without_shift
from prefrl.ppo import PolicyBatch


class Prepared(NamedTuple):
    """A batch for the update, and what there is to say of it."""

    batch: PolicyBatch
    metrics: dict[str, float]


def value_batch(
    responses: Responses,
    rewards: Tensor,
    values: Tensor,
    reference_log_prob: Tensor | None,
    *,
    kl_coefficient: float,
    discount: float,
    gae_lambda: float,
    whiten: bool,
) -> Prepared:
    """Advantages by a value function, from rewards per token with the KL penalty in them (PPO).

    ``r_t = −β (log π − log π_ref)`` at every token, and the rewards where they are given (Ouyang et al. 2022,
    eq. 2). An episode is a completion: it ends with its last token, and nothing flows beyond.

    Args:
        responses: with the ``log_prob`` of the policy that wrote them. n of them.
        rewards: ``[n]`` or ``[n, time]``.
        values: ``[n, time]``, before each token.
        reference_log_prob: ``[n, time]``; None where no penalty is taken.
        kl_coefficient: β.
        discount: γ per token.
        gae_lambda: λ.
        whiten: scale the rewards per token to deviation 1, keeping their mean.
    """
    assert responses.log_prob is not None
    mask, rows = responses.mask, spread_rewards(rewards, responses)
    if reference_log_prob is not None:
        rows = rows + kl_penalty(
            responses.log_prob, reference_log_prob, coefficient=kl_coefficient, mask=mask
        )
    if whiten:
        rows = whiten_without_shift(rows, mask) * mask
    ends = torch.zeros_like(mask).scatter(1, responses.last.unsqueeze(1), 1.0)
    next_values = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], 1) * (1.0 - ends)
    advantages, returns = (
        table.T
        for table in generalised_advantages(
            rows.T,
            values.T,
            next_values.T,
            ends.T,
            discount=discount,
            gae_lambda=gae_lambda,
            mask=mask.T,
        )
    )
    batch = PolicyBatch(
        completion_inputs(responses),
        responses.log_prob,
        values,
        advantages.contiguous(),
        returns.contiguous(),
        mask,
        reference_log_prob,
    )
    errors = (returns - values).square() * mask
    return Prepared(batch, {"value_error": float(errors.sum() / mask.sum())})


def group_batch(
    responses: Responses,
    rewards: Tensor,
    groups: Tensor,
    reference_log_prob: Tensor | None,
    *,
    kl_coefficient: float,
    deviation: Deviation | None,
    drop_dead: bool,
) -> Prepared:
    """Advantages of whole responses, by the others of their group (GRPO, Dr.GRPO, RLOO, REINFORCE).

    Rewards per token are summed: without a value function a response is judged as a whole. A KL penalty in
    the reward is taken off the response's sum.

    Args:
        responses: with the ``log_prob`` of the policy that wrote them. n of them.
        rewards: ``[n]`` or ``[n, time]``.
        groups: ``[n]``, which group each belongs to.
        reference_log_prob: ``[n, time]``; None where no penalty is taken.
        kl_coefficient: β of a penalty in the reward; one in the loss is the update's business.
        deviation: what GRPO divides by; None for the leave-one-out baseline of RLOO.
        drop_dead: leave out the responses of groups without spread, unless that would be all.
    """
    assert responses.log_prob is not None
    mask = responses.mask
    total = rewards if rewards.dim() == 1 else (rewards * mask).sum(1)
    if reference_log_prob is not None and kl_coefficient:
        penalty = kl_penalty(responses.log_prob, reference_log_prob, coefficient=kl_coefficient, mask=mask)
        total = total + penalty.sum(1)
    found: GroupAdvantages
    if deviation is None:
        found = rloo_advantages(total, groups)
    else:
        found = grpo_advantages(total, groups, deviation=deviation)
    metrics = {"groups": float(found.groups), "dead_groups": float(found.dead_groups)}
    kept = found.alive.nonzero().squeeze(1)
    if not drop_dead or not len(kept):
        kept = torch.arange(len(total), device=total.device)
    part = responses.take(kept)
    assert part.log_prob is not None
    nothing = torch.zeros_like(part.mask)
    batch = PolicyBatch(
        completion_inputs(part),
        part.log_prob,
        nothing,
        found.advantages[kept].unsqueeze(1) * part.mask,
        nothing,
        part.mask,
        None if reference_log_prob is None else reference_log_prob[kept],
    )
    return Prepared(batch, metrics)
