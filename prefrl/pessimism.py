"""Choosing by how sure we are: pessimism and optimism from an ensemble, and from the data of a linear bandit.

A learned reward is wrong where there was no data, and whoever maximises it goes to where it is wrong upwards.
Pessimism takes a lower bound instead (what to deploy), optimism an upper one (what to ask about).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Bound = Literal["minimum", "deviation", "variance", "mean", "maximum"]


def ensemble_bound(returns: Tensor, bound: Bound, *, coefficient: float = 1.0) -> Tensor:
    """One return per item from the members of an ensemble, ``[members, ...] -> [...]``.

    ``minimum``: the least of the members; ``maximum``: the largest.
    ``deviation``: mean − λ · standard deviation; ``variance``: mean − λ · variance; both divide by n.
    ``mean``: neither pessimistic nor optimistic. A negative λ is optimism.

    Coste et al. 2023 (arXiv 2310.02743): worst-case optimisation and uncertainty-weighted (variance).
    Members must share a zero and a scale: normalise, or centre them, first.

    Args:
        returns: ``[members, ...]``.
        bound: which.
        coefficient: λ, in units of 1 (deviation) or of 1/return (variance).
    """
    if returns.dim() < 1 or len(returns) < 1:
        raise ValueError(
            f"returns must be [members, ...] with at least one member, not {tuple(returns.shape)}"
        )
    if bound == "minimum":
        return returns.amin(0)
    if bound == "maximum":
        return returns.amax(0)
    mean = returns.mean(0)
    if bound == "mean":
        return mean
    variance = returns.var(0, correction=0)
    return mean - coefficient * (variance if bound == "variance" else variance.sqrt())


def data_covariance(differences: Tensor, *, ridge: float, weights: Tensor | None = None) -> Tensor:
    """``Σ = (1/n) Σ_i x_i x_iᵀ + λ I`` of the compared items' feature differences ``[n, d]``: ``[d, d]``.

    Zhu et al. 2023 (arXiv 2301.11270), eq. 2 with λ as in theorem 3.2; λ is per comparison.

    Args:
        differences: x, left features less right ones.
        ridge: λ above 0.
        weights: ``[n]``, how often each comparison was made; None for once.
    """
    if differences.dim() != 2 or not len(differences) or not ridge > 0:
        raise ValueError(
            f"differences must be [n, d] with a ridge above 0, not {tuple(differences.shape)}, {ridge}"
        )
    shares = _shares(differences, weights)
    identity = torch.eye(differences.shape[1], dtype=differences.dtype, device=differences.device)
    return differences.T @ (shares.unsqueeze(1) * differences) + ridge * identity


def linear_bound(
    features: Tensor,
    estimate: Tensor,
    covariance: Tensor,
    *,
    coefficient: float,
    reference: Tensor | None = None,
) -> Tensor:
    """The least return that the data allow: ``θ̂ᵀ(φ − ν) − c ‖φ − ν‖_{Σ⁻¹}``.

    The minimum of ``θᵀ(φ − ν)`` over the ellipsoid ``‖θ − θ̂‖_Σ ≤ c``. Zhu et al. 2023, eq. 4 and algorithm 1.
    Comparisons tell differences only, so what a bound is relative to matters: ν is an item the data cover.

    Args:
        features: φ, ``[items, d]``.
        estimate: θ̂, ``[..., d]``.
        covariance: Σ, ``[d, d]``, from :func:`data_covariance`.
        coefficient: c, of the order of ``√((d + log(1/δ)) / n)``; 0 is greedy, a negative one optimistic.
        reference: ν, ``[d]``; None for 0.

    Returns:
        ``[..., items]``.
    """
    relative = features if reference is None else features - reference
    spread = (relative * torch.linalg.solve(covariance, relative.T).T).sum(-1).clamp(min=0.0).sqrt()
    return estimate @ relative.T - coefficient * spread


def fit_linear_return(
    differences: Tensor, preference: Tensor, *, radius: float, weights: Tensor | None = None
) -> Tensor:
    """Maximum likelihood of ``P(left) = σ(θᵀ x)`` over the ball ``‖θ‖ ≤ B``.

    Zhu et al. 2023, section 3. The multiplier of the constraint is found by bisection, θ for each by Newton:
    exact to rounding also where a comparison was seen once and its likelihood grows without end.

    Args:
        differences: x, ``[n, d]``, left features less right ones.
        preference: ``[..., n]`` in [0, 1]; each set of answers is fitted by itself.
        radius: B above 0.
        weights: ``[n]``, how often each comparison was made; None for once.

    Returns:
        θ̂, ``[..., d]``.

    Raises:
        ValueError: shapes that do not fit, or a radius not above 0.
    """
    if differences.dim() != 2 or preference.shape[-1:] != differences.shape[:1] or not radius > 0:
        raise ValueError(
            f"differences {tuple(differences.shape)}, preference {tuple(preference.shape)}, radius {radius}"
            " do not fit: give [n, d], [..., n] and a radius above 0"
        )
    shares = _shares(differences, weights)
    # At this multiplier and above the ball holds every optimum: there the ridge outweighs all slopes.
    steepest = float((shares @ differences.norm(dim=1)).item())
    low = torch.full(preference.shape[:-1], 1e-12, dtype=differences.dtype, device=differences.device)
    high = torch.full_like(low, max(1.0, steepest / radius))
    theta = _ridge_fit(differences, preference, shares, low, enough=2 * radius)
    free = theta.norm(dim=-1) <= radius
    for _ in range(50):
        middle = (low * high).sqrt()
        trial = _ridge_fit(differences, preference, shares, middle, enough=2 * radius)
        outside = trial.norm(dim=-1) > radius
        low, high = torch.where(outside, middle, low), torch.where(outside, high, middle)
    inside = _ridge_fit(differences, preference, shares, high, enough=2 * radius)
    return torch.where(free.unsqueeze(-1), theta, inside)


def _ridge_fit(
    differences: Tensor, preference: Tensor, shares: Tensor, ridge: Tensor, *, enough: float
) -> Tensor:
    """argmin of the mean loss + ridge ‖θ‖² / 2, ``[..., d]``, by Newton steps no longer than 1.

    What has grown longer than ``enough`` need not converge: the caller only asks whether it is too long.
    """
    theta = torch.zeros(
        *preference.shape[:-1], differences.shape[1], dtype=differences.dtype, device=differences.device
    )
    identity = torch.eye(theta.shape[-1], dtype=theta.dtype, device=theta.device)
    for _ in range(200):
        probability = torch.sigmoid(theta @ differences.T)
        slope = (shares * (probability - preference)) @ differences + ridge.unsqueeze(-1) * theta
        curvature = (shares * probability * (1.0 - probability)).unsqueeze(-1) * differences
        hessian = differences.T @ curvature + ridge[..., None, None] * identity
        step = torch.linalg.solve(hessian, slope)
        theta = theta - step / step.norm(dim=-1, keepdim=True).clamp(min=1.0)
        if bool(((step.norm(dim=-1) < 1e-10) | (theta.norm(dim=-1) > enough)).all()):
            break
    return theta


def _shares(differences: Tensor, weights: Tensor | None) -> Tensor:
    ones = torch.ones(len(differences), dtype=differences.dtype, device=differences.device)
    counts = ones if weights is None else weights.to(ones)
    return counts / counts.sum()
