"""Direct preference losses: the policy is its own reward model, no reward is learned and no rollout taken.

All work on **log-ratios summed over an item**, ``ρ = Σ_t log π(a_t) − log π_ref(a_t)``: over a response's
tokens or a segment's actions, nothing here knows which. As in `prefrl.likelihoods`, pairs are left and right
with a preference p = P(left is better) (1 for chosen, rejected), items of a ranking stand best first, leading
dimensions are free, and every loss is per piece of feedback, ``[..., n]``.

``β ρ`` is an implicit return (Rafailov et al. 2023), so every likelihood of `prefrl.likelihoods` is a direct
loss: :func:`dpo_loss` is Bradley-Terry on it, :func:`ranked_dpo_loss` Plackett-Luce.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from prefrl.likelihoods import pair_log_likelihood_loss, ranking_loss

Smoothing = Literal["conservative", "robust"]


def dpo_loss(
    log_ratios: Tensor,
    preference: Tensor,
    *,
    beta: float,
    label_smoothing: float = 0.0,
    smoothing: Smoothing = "conservative",
) -> Tensor:
    """Direct preference optimisation: ``−p log σ(β d) − (1 − p) log σ(−β d)``, d = ρ_l − ρ_r.

    Rafailov et al. 2023 (arXiv 2305.18290), eq. 7. With labels flipped with probability e, either

    ``conservative``: ``−(1 − e) log σ(β d) − e log σ(−β d)``, least at σ(β d) = 1 − e (Mitchell 2023), or
    ``robust``: ``(−(1 − e) log σ(β d) + e log σ(−β d)) / (1 − 2e)``, in expectation over the flips the loss
    of the true labels (Chowdhury et al. 2024, arXiv 2403.00409), for a single pair unbounded below.

    Args:
        log_ratios: ``[..., n, 2]``, left then right (chosen then rejected).
        preference: ``[n]`` in [0, 1].
        beta: β, in nats of return per nat of log-ratio; how dearly leaving the reference is bought.
        label_smoothing: e in [0, 1/2).
        smoothing: which form.

    Raises:
        ValueError: wrong shape, β not above 0, or e outside its range.
    """
    if not 0.0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing must lie in [0, 1/2), not {label_smoothing}")
    returns = implicit_returns(log_ratios, beta=beta)
    preference = preference.to(returns)
    if label_smoothing == 0.0:
        return pair_log_likelihood_loss(returns, preference, error_rate=0.0)
    given = pair_log_likelihood_loss(returns, preference, error_rate=0.0)
    flipped = pair_log_likelihood_loss(returns, 1.0 - preference, error_rate=0.0)
    if smoothing == "conservative":
        return (1.0 - label_smoothing) * given + label_smoothing * flipped
    return ((1.0 - label_smoothing) * given - label_smoothing * flipped) / (1.0 - 2.0 * label_smoothing)


def ipo_loss(log_ratios: Tensor, preference: Tensor, *, beta: float, lengths: Tensor | None = None) -> Tensor:
    """Identity preference optimisation: ``(d − (2p − 1)/(2β))²``, d = ρ_l − ρ_r.

    Azar et al. 2023 (arXiv 2310.12036), eq. 17, where β is τ. A finite target instead of ever larger margins.
    The paper sums log-ratios over the response, as here; TRL and HALOs take each response's mean over its
    tokens, which is another loss with another scale of β: give ``lengths`` for that.

    Args:
        log_ratios: ``[..., n, 2]``, left then right.
        preference: ``[n]`` in [0, 1]; at 1/2 the two should move alike.
        beta: τ above 0; the target margin is 1/(2τ) nats.
        lengths: ``[n, 2]``, tokens of each side, to divide by; None for the paper's sum.
    """
    if lengths is not None:
        log_ratios = log_ratios / lengths.to(log_ratios)
    difference = _checked(log_ratios, 2, beta).select(-1, 0) - log_ratios[..., 1]
    return (difference - (2.0 * preference.to(difference) - 1.0) / (2.0 * beta)).square()


def kto_loss(
    log_ratios: Tensor,
    desirable: Tensor,
    reference_point: Tensor | float,
    *,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """Kahneman-Tversky optimisation from unpaired likes and dislikes.

    ``λ_D (1 − σ(β (ρ − z0)))`` for a like, ``λ_U (1 − σ(β (z0 − ρ)))`` for a dislike.
    Ethayarajh et al. 2024 (arXiv 2402.01306), eq. 7 and 8. Take one mean over likes and dislikes together;
    the paper balances them by choosing λ_D n_D / (λ_U n_U) in [1, 3/2]: see :func:`balanced_weights`.

    Args:
        log_ratios: ``[..., n]``.
        desirable: ``[n]``, true for a like.
        reference_point: z0 in nats, from :func:`kto_reference_point`.
        beta: β.
        desirable_weight: λ_D.
        undesirable_weight: λ_U.
    """
    if not beta > 0.0:
        raise ValueError(f"beta must be above 0, not {beta}")
    sign = torch.where(desirable.bool(), 1.0, -1.0).to(log_ratios)
    weight = torch.where(desirable.bool(), desirable_weight, undesirable_weight).to(log_ratios)
    return weight * torch.sigmoid(-sign * beta * (log_ratios - reference_point))


def kto_reference_point(mismatched_log_ratios: Tensor) -> Tensor:
    """z0: ``max(0, mean of log π(y'|x) − log π_ref(y'|x))`` over mismatched pairs, without gradient.

    A biased but cheap estimate of KL(π ‖ π_ref): each prompt with the response to another prompt of the same
    micro-batch (:func:`mismatched`), through both models again. Ethayarajh et al. 2024, section 4.1.
    """
    return mismatched_log_ratios.detach().mean().clamp(min=0.0)


def mismatched(prompts: Tensor) -> Tensor:
    """Whose response each prompt of a micro-batch is paired with for z0: the nearest before it, cyclically.

    Skips responses to the same prompt, which would not be mismatched.

    Args:
        prompts: ``[n]``, a whole number per prompt, the same for the same prompt.

    Returns:
        ``[n]`` of indices: with different prompts n−1, 0, 1, ..., n−2.

    Raises:
        ValueError: all prompts are the same, or there is none.
    """
    place = torch.arange(len(prompts), device=prompts.device)
    back = (place.unsqueeze(1) - place.unsqueeze(0)) % max(1, len(prompts))
    back = back.masked_fill(prompts.unsqueeze(1) == prompts.unsqueeze(0), len(prompts))
    if not len(prompts) or bool((back.amin(1) == len(prompts)).any()):
        raise ValueError("a micro-batch of one prompt has no mismatched pairs: shuffle, or take a larger one")
    return back.argmin(1)


def balanced_weights(desirable: Tensor, *, ratio: float = 1.0) -> tuple[float, float]:
    """λ_D and λ_U so that ``λ_D n_D = ratio · λ_U n_U``; what there is more of weighs 1.

    The paper has ratios in [1, 3/2]. Both are 1 where one kind is missing: there is nothing to balance.
    """
    liked = int(desirable.bool().sum())
    disliked = desirable.numel() - liked
    if not liked or not disliked:
        return 1.0, 1.0
    if liked >= disliked:
        return 1.0, liked / (ratio * disliked)
    return ratio * disliked / liked, 1.0


def ranked_dpo_loss(log_ratios: Tensor, mask: Tensor | None = None, *, beta: float) -> Tensor:
    """K-wise DPO: Plackett-Luce on the implicit returns ``β ρ``.

    Rafailov et al. 2023, appendix A.3, eq. 20. With K = 2 it is :func:`dpo_loss`.

    Args:
        log_ratios: ``[..., n, K]``, best first.
        mask: ``[n, K]``, true where there is an item.
        beta: β.
    """
    return ranking_loss(implicit_returns(log_ratios, beta=beta), mask)


def contrastive_loss(scores: Tensor, preference: Tensor, *, alpha: float, bias: float = 1.0) -> Tensor:
    """Contrastive preference learning: Bradley-Terry on ``α Σ_t γ^t log π(a_t|s_t)``, no reference needed.

    ``−log [exp α S⁺ / (exp α S⁺ + exp λ α S⁻)]`` for the better segment +, with S the discounted
    log-probability of :func:`discounted_log_prob`; λ < 1 is the conservative form, which favours what is in
    the data over what is far from both. Hejna et al. 2023 (arXiv 2310.13639), eq. 5 and section 3.2.

    Args:
        scores: S, ``[..., n, 2]``, left then right.
        preference: ``[n]`` in [0, 1].
        alpha: α, the temperature of the regret-based preference model, in nats of return per nat.
        bias: λ in (0, 1]; 1 is the plain loss.
    """
    if not 0.0 < bias <= 1.0:
        raise ValueError(f"bias must lie in (0, 1], not {bias}")
    left, right = _checked(scores, 2, alpha).unbind(-1)
    preference = preference.to(left)
    left_better = softplus(alpha * (bias * right - left))
    right_better = softplus(alpha * (bias * left - right))
    return preference * left_better + (1.0 - preference) * right_better


def discounted_log_prob(log_prob: Tensor, *, discount: float, mask: Tensor | None = None) -> Tensor:
    """``S = Σ_t γ^t log π(a_t|s_t)`` over the last dimension, ``[..., time] -> [...]``.

    t counts from an item's first step; masked steps count 0 (with γ = 1 they may lie anywhere).
    """
    weights = discount ** torch.arange(log_prob.shape[-1], dtype=log_prob.dtype, device=log_prob.device)
    if mask is not None:
        log_prob = torch.where(mask.bool(), log_prob, torch.zeros_like(log_prob))
    return (log_prob * weights).sum(-1)


def implicit_returns(log_ratios: Tensor, *, beta: float) -> Tensor:
    """``β ρ``: the return a policy implies, up to a constant per prompt (Rafailov et al. 2023, eq. 5)."""
    if not beta > 0.0:
        raise ValueError(f"beta must be above 0, not {beta}")
    return beta * log_ratios


def _checked(values: Tensor, items: int, scale: float) -> Tensor:
    if values.ndim < 2 or values.shape[-1] != items:
        raise ValueError(f"log-ratios must be [..., n, {items}], not {tuple(values.shape)}")
    if not scale > 0.0:
        raise ValueError(f"beta and alpha must be above 0, not {scale}")
    return values
