"""Policy-gradient mathematics: one pure function per equation, over tensors of any leading shape.

Nothing here knows an environment, a network or a token. Control hands in ``[time, envs]``, language
hands in ``[time, sequences]`` with a mask; the numbers come out of the same lines.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prefrl.reductions import masked_mean


def generalised_advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    ends: Tensor,
    *,
    discount: float,
    gae_lambda: float,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016, eq. 16).

    ``δ_t = r_t + γ v'_t - v_t`` and ``A_t = δ_t + γ λ (1 - end_t) A_{t+1}``.

    Args:
        rewards: ``[time, ...]``, the reward of the step taken at t.
        values: ``[time, ...]``, the value predicted where step t was taken.
        next_values: ``[time, ...]``, the value of what step t led to: ``values[t + 1]`` in the middle
            of an episode, zero after a termination, the final observation's value after a truncation.
        ends: ``[time, ...]`` of 0 and 1: the episode ended with step t, so nothing flows back across it.
        discount: γ in [0, 1].
        gae_lambda: λ in [0, 1].
        mask: optional ``[time, ...]``; steps with 0 are skipped: their advantage is zero, and the
            advantage and value behind them pass through to the step before (tool output in a text).

    Returns:
        Advantages and returns (advantage + value), both ``[time, ...]``.
    """
    _same_shape(rewards=rewards, values=values, next_values=next_values, ends=ends)
    flow = discount * gae_lambda * (1.0 - ends.to(rewards.dtype))
    advantages = torch.zeros_like(rewards)
    carried = torch.zeros_like(rewards[0])
    if mask is None:
        deltas = rewards + discount * next_values - values
        for t in range(rewards.shape[0] - 1, -1, -1):
            carried = torch.addcmul(deltas[t], flow[t], carried, out=advantages[t])
        return advantages, advantages + values
    keep = mask.bool()
    following = next_values[-1]
    for t in range(rewards.shape[0] - 1, -1, -1):
        following = torch.where(ends[t].bool() | (t == rewards.shape[0] - 1), next_values[t], following)
        advantage = rewards[t] + discount * following - values[t] + flow[t] * carried
        advantages[t] = torch.where(keep[t], advantage, 0.0)
        carried = torch.where(keep[t], advantage, carried * (1.0 - ends[t].to(rewards.dtype)))
        following = torch.where(keep[t], values[t], following)
    return advantages, advantages + values


def clipped_surrogate_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, *, clip: float, clip_high: float | None = None
) -> Tensor:
    """PPO's clipped objective, negated, per element (Schulman et al. 2017, eq. 7).

    ``-min(ρ A, clip(ρ, 1 - ε, 1 + ε_high) A)`` with ``ρ = exp(log π - log π_old)``. A separate upper
    bound is the clip-higher of DAPO (Yu et al. 2025).
    """
    ratio = torch.exp(log_prob - old_log_prob)
    bounded = ratio.clamp(1.0 - clip, 1.0 + (clip if clip_high is None else clip_high))
    return -torch.minimum(ratio * advantage, bounded * advantage)


def clipped_value_loss(value: Tensor, old_value: Tensor, return_: Tensor, *, clip: float | None) -> Tensor:
    """Half squared error per element; with ``clip`` the larger of it and the error of the clipped value.

    ``½ max((v - R)², (v_old + clip(v - v_old, -ε, ε) - R)²)`` as in OpenAI's baselines.
    """
    error = (value - return_).square()
    if clip is None:
        return 0.5 * error
    near = old_value + (value - old_value).clamp(-clip, clip)
    return 0.5 * torch.maximum(error, (near - return_).square())


def normalise_advantages(advantages: Tensor, mask: Tensor | None = None, *, epsilon: float = 1e-8) -> Tensor:
    """Advantages shifted and scaled to mean 0 and standard deviation 1 over the unmasked elements."""
    mean = masked_mean(advantages, mask)
    variance = masked_mean((advantages - mean).square(), mask)
    normalised = (advantages - mean) / (variance.sqrt() + epsilon)
    return normalised if mask is None else normalised * mask.to(normalised.dtype)


def whiten_without_shift(values: Tensor, mask: Tensor | None = None, *, epsilon: float = 1e-8) -> Tensor:
    """Values scaled about their mean to standard deviation 1 over the unmasked elements; the mean stays.

    ``(x - mean) / std + mean``: how rewards are whitened before advantages are estimated, because a shift of
    every reward would reward length (Stiennon et al. 2020, the authors' code).
    """
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean).square(), mask)
    return (values - mean) / (variance.sqrt() + epsilon) + mean


def explained_variance(values: Tensor, returns: Tensor) -> float:
    """``1 - Var(R - v) / Var(R)``: 1 is perfect, 0 no better than a constant; NaN for constant returns."""
    spread = returns.var(correction=0)
    if spread == 0:
        return float("nan")
    return float(1.0 - (returns - values).var(correction=0) / spread)


def _same_shape(**tensors: Tensor) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) != 1:
        raise ValueError(f"these must have one shape: {shapes}")
