"""Kullback-Leibler divergence of a policy from a reference: estimates from samples, as losses, and exactly.

Throughout, ``d = log π − log π_ref`` of what was sampled, and ``KL(π ‖ π_ref) = E_π[d]``, in nats. Public
code differs in the sign of d inside k3; here k3 is never negative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from prefrl.ppo_config import KLEstimator


def kl_estimates(log_prob: Tensor, other_log_prob: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """k1, k2, k3 of ``KL(π ‖ other)`` per element, on samples of π (Schulman 2020).

    With ``d = log π - log other``: ``k1 = d`` (unbiased, may be negative), ``k2 = d² / 2``,
    ``k3 = exp(-d) - 1 + d`` (unbiased and never negative).
    """
    difference = log_prob - other_log_prob
    return difference, 0.5 * difference.square(), torch.expm1(-difference) + difference


def kl_loss(log_prob: Tensor, reference_log_prob: Tensor, estimator: KLEstimator) -> Tensor:
    """An estimate of ``KL(π ‖ π_ref)`` per element, to be differentiated by π's parameters.

    An estimate with the right value need not have the right gradient, because the samples depend on π, too.
    In expectation over samples of π the gradients are:

    ``k1``: zero. It is a value to report or to subtract from rewards, and no loss.
    ``k2``: that of KL(π ‖ π_ref), while its value is biased.
    ``k3``: that of the other direction, KL(π_ref ‖ π), while its value is unbiased; published GRPO does this.
    ``k3_gradient_of_k2``: the value of k3 with the gradient of k2, right in both.

    Tang and Munos 2025, arXiv 2506.09477; the tests enumerate a small vocabulary.

    Args:
        log_prob: log π of each sampled token, with gradients.
        reference_log_prob: log π_ref of the same tokens; broadcasts.
        estimator: which.
    """
    k1, k2, k3 = kl_estimates(log_prob, reference_log_prob)
    if estimator == "k3_gradient_of_k2":
        return k3.detach() + k2 - k2.detach()
    return {"k1": k1, "k2": k2, "k3": k3}[estimator]


def exact_kl(log_probs: Tensor, reference_log_probs: Tensor) -> Tensor:
    """``KL(π ‖ π_ref) = Σ_a π(a) (log π(a) − log π_ref(a))`` over a whole vocabulary, ``[..., V] -> [...]``.

    Along a sampled sequence the sum of these over its tokens is an unbiased estimate of the KL between
    whole sequences, with less variance than k1: only the prefix is sampled (Amini et al. 2025,
    arXiv 2504.10637).

    Args:
        log_probs: normalised, ``[..., V]``; −∞ for what π never does, which contributes 0 with gradient 0.
        reference_log_probs: the same of π_ref. −∞ where π can go makes the KL infinite.
    """
    possible = log_probs > -torch.inf
    zero = torch.zeros((), dtype=log_probs.dtype, device=log_probs.device)
    inside = torch.where(possible, log_probs, zero)
    difference = inside - torch.where(possible, reference_log_probs, zero)
    return torch.where(possible, inside.exp() * difference, zero).sum(-1)


def kl_penalty(
    log_prob: Tensor, reference_log_prob: Tensor, *, coefficient: float, mask: Tensor | None = None
) -> Tensor:
    """What leaving the reference costs at each token: ``−β (log π(a_t) − log π_ref(a_t))``, a reward.

    Ziegler et al. 2019, eq. 2; Stiennon et al. 2020; Ouyang et al. 2022, eq. 2: the score of the whole comes
    on top at the last token. Its sum over a sequence is the penalty of the whole.

    Args:
        log_prob: ``[...]``, of the policy that sampled; no gradient is kept.
        reference_log_prob: the same shape.
        coefficient: β per nat.
        mask: the same shape; elsewhere the penalty is 0, whatever stands there (padding, what a tool wrote).
    """
    penalty = -coefficient * (log_prob - reference_log_prob).detach()
    return penalty if mask is None else torch.where(mask.bool(), penalty, torch.zeros_like(penalty))
