"""The gradient of PPO's loss by what the policy says, written out where nothing is masked.

For a small policy on a CPU, autograd's bookkeeping for these few numbers per item takes longer than the
arithmetic. A test holds the gradients to those of autograd through :mod:`prefrl.policy_gradient`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prefrl.policy_gradient import normalise_advantages
from prefrl.ppo_config import PPOConfig


@torch.no_grad()
def plain_gradients(
    outputs: tuple[Tensor, Tensor, Tensor],
    *,
    old_log_prob: Tensor,
    old_value: Tensor,
    advantage: Tensor,
    return_: Tensor,
    config: PPOConfig,
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Gradients of the loss by log-probability, entropy and value, and what is recorded of the loss.

    With ρ = exp(log π − log π_old): ∂(−min(ρA, clip(ρ)A))/∂log π = −ρA where ρA is the smaller, else 0
    (Schulman et al. 2017, eq. 7); ∂(½ max(e², e_near²))/∂v is the larger of the two errors, but 0 where
    that is the error of a clipped value: it does not move with v. Each is divided by the number of items.

    Args:
        outputs: log-probability, entropy and value, ``[items]`` each; nothing flows back through them.
        old_log_prob, old_value, advantage, return_: of the same items, as collected.
        config: clips, coefficients, and whether advantages are normalised.

    Returns:
        The three gradients; and policy loss, value loss, entropy, KL (k3) and clipped share: ``[5]``.
    """
    log_prob, entropy, value = outputs
    share = 1.0 / log_prob.numel()
    if config.normalise_advantages:
        advantage = normalise_advantages(advantage)
    difference = log_prob - old_log_prob
    ratio = difference.exp()
    high = config.clip if config.clip_high is None else config.clip_high
    bounded = ratio.clamp(1.0 - config.clip, 1.0 + high)
    free, held = ratio * advantage, bounded * advantage
    by_log_prob = torch.where(free <= held, free, 0.0).mul_(-share)
    error = value - return_
    squares = error.square()
    if config.value_clip is not None:
        moved = value - old_value
        near = old_value + moved.clamp(-config.value_clip, config.value_clip) - return_
        by_near = torch.where(moved.abs() <= config.value_clip, near, 0.0)
        error = torch.where(squares >= near.square(), error, by_near)
        squares = torch.maximum(squares, near.square())
    record = torch.stack(
        [
            torch.minimum(free, held).mean().neg(),
            squares.mean().mul(0.5),
            entropy.mean(),
            (ratio - 1.0 - difference).mean(),
            (ratio != bounded).sum() * share,
        ]
    )
    by_entropy = torch.full_like(entropy, -config.entropy_coefficient * share)
    return (by_log_prob, by_entropy, error * (config.value_coefficient * share)), record
